"""What the policy wrote before and after each stage, letter by letter: whitespace and control characters shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.report.formatting import NONE
from interlace.store import RunRecord, StageRecord
from interlace.tasks import TASKS
from interlace.wording import number

LONG = 240
"""Characters above which a text is folded."""
SHOWN = 8
"""Prompts shown a stage."""

_EDGE = re.compile(r"^ +| +$|(?<=\n) +| +(?=\n)| {2,}")
_SIGNS = {"\n": "\u21b5\n", "\t": "\u21e5\t", "\r": "\u240d"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `sign`: it stands for whitespace or an invisible character."""

    text: str
    sign: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A text as it will be shown; `head` is its beginning if it is long enough to be folded, else empty."""

    pieces: tuple[Piece, ...]
    head: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion and the reward it earned, in words."""

    step: int
    completion: Passage
    reward: str


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One prompt of a stage: the expert's response, and the policy's at the first and last sampled step."""

    prompt: Passage
    expert: Passage
    before: Attempt | None
    after: Attempt | None


@dataclass(frozen=True, slots=True)
class StageSamples:
    """The samples of one stage."""

    stage: str
    rows: tuple[SampleRow, ...]


def stage_samples(record: RunRecord) -> tuple[StageSamples, ...]:
    """The stages that kept samples, in order."""
    return tuple(StageSamples(stage.name, _rows(stage)) for stage in record.stages if stage.samples)


def writing(record: RunRecord) -> tuple[str, ...]:
    """How the responses of the run's tasks are to be read, in sentences; of most tasks there is nothing to say."""
    kinds = {name: TASKS.get(str(task.get("kind"))) for name, task in record.resolved.get("tasks", {}).items()}
    return tuple(f"On {name}, {kind.writing}." for name, kind in kinds.items() if kind is not None and kind.writing)


def _rows(stage: StageRecord) -> tuple[SampleRow, ...]:
    by_prompt: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for sample in stage.samples:
        by_prompt.setdefault((sample["task"], sample["index"]), []).append(sample)
    return tuple(_row(found) for found in list(by_prompt.values())[:SHOWN])


def _row(found: Sequence[Mapping[str, Any]]) -> SampleRow:
    ordered = sorted(found, key=lambda sample: int(sample["step"]))
    first, last = ordered[0], ordered[-1]
    before = _attempt(first) if first["step"] == 0 else None
    after = _attempt(last) if last["step"] != 0 else None
    return SampleRow(passage(_text(first["prompt"])), passage(_text(first.get("expert"))), before, after)


def _attempt(sample: Mapping[str, Any]) -> Attempt:
    return Attempt(int(sample["step"]), passage(_text(sample["completion"])), _reward(sample.get("reward")))


def _reward(reward: object) -> str:
    if reward is None:
        return NONE
    try:
        return number(float(str(reward)), 2).removesuffix(".00")
    except ValueError:
        return str(reward)


def _text(value: object) -> str:
    """Plain text; chat messages one after another, each led by its role; several expert responses one a line."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return f"{value.get('role', '')}: {value.get('content', '')}" if "content" in value else str(dict(value))
    if isinstance(value, Sequence):
        return "\n".join(_text(item) for item in value)
    return str(value)


def passage(text: str) -> Passage:
    """`text` with its whitespace made visible, folded if it is long; an empty one is called so."""
    if not text:
        return Passage((Piece("empty", sign=True),))
    head = tuple(pieces(text[: LONG // 2])) if len(text) > LONG else ()
    return Passage(tuple(pieces(text)), head)


def pieces(text: str) -> list[Piece]:
    r"""`text` cut into what is written and what is not seen: spaces at edges or in rows, tabs, line ends, controls.

    >>> [piece.text for piece in pieces("7\n")], [piece.sign for piece in pieces(" a b")]
    (['7', '↵\n'], [True, False])
    """
    found: list[Piece] = []
    place = 0
    for match in _EDGE.finditer(text):
        found += _letters(text[place : match.start()])
        found.append(Piece("\u00b7" * len(match.group()), sign=True))
        place = match.end()
    return found + _letters(text[place:])


def _letters(text: str) -> list[Piece]:
    found: list[Piece] = []
    for letter in text:
        sign = _SIGNS.get(letter) or _invisible(letter)
        if sign:
            found.append(Piece(sign, sign=True))
        elif found and not found[-1].sign:
            found[-1] = Piece(found[-1].text + letter)
        else:
            found.append(Piece(letter))
    return found


def _invisible(letter: str) -> str:
    """A control, format or surrogate character by its number (bidirectional overrides would reorder the page)."""
    return f"\u27e8U+{ord(letter):04X}\u27e9" if unicodedata.category(letter) in ("Cc", "Cf", "Cs") else ""
