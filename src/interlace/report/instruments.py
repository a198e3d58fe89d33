"""The panel of instruments: what every probe beyond SFT loss, reward and divergence read at a stage's start and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from interlace.estimate import Estimate, Figure, Unresolved, significant_texts
from interlace.measurement import RAW, Measurement
from interlace.report.formatting import NONE, Cell, Notes, provenance
from interlace.report.reasons import in_users_words, meaning_of
from interlace.store import RunRecord, StageRecord

SHOWN_ELSEWHERE = frozenset({"sft_loss", "reward", "divergence", "lenient_reward"})
"""Probes whose figures fill the rest of the page."""
MOST_PARTS = 4
"""Parts of one quantity (layers, tasks) that stand in the table; more are folded."""
ALWAYS_CAPITAL = {"sft": "SFT", "rl": "RL", "kl": "KL", "pl": "PL"}
UNITS_IN_NAMES = " nats per response"
WITH_PART = {"pass_at_k": "pass@{}", "log_partition": "log partition at RL time {}"}
"""How the parts of a quantity are called, where it is not by a layer or a task."""


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One quantity: its name in prose, its unit, and its figure at the stage's start and at its latest look."""

    name: str
    unit: str
    start: Cell
    latest: Cell


@dataclass(frozen=True, slots=True)
class Instrument:
    """What one instrument is and what it read; `folded` are the many parts of one quantity, by its name."""

    name: str
    sentence: str
    source: str
    rows: tuple[ReadingRow, ...]
    folded: tuple[tuple[str, tuple[ReadingRow, ...]], ...]


@dataclass(frozen=True, slots=True)
class StagePanel:
    """The instruments of a stage on one task, in the order in which they looked."""

    title: str
    is_open: bool
    latest_step: int
    instruments: tuple[Instrument, ...]
    notes: tuple[str, ...]


def stage_panels(record: RunRecord) -> tuple[StagePanel, ...]:
    """A panel for every stage and task that more was read of than SFT loss, reward and divergence."""
    several = len({item.point.task for stage in record.stages for item in stage.measurements}) > 1
    pairs = [(stage, task) for stage in record.stages for task in _tasks(stage)]
    found = [panel for stage, task in pairs if (panel := _panel(stage, task, several)) is not None]
    first = next((i for i, (panel, kind) in enumerate(found) if kind == "rl"), 0)
    return tuple(_opened(panel, i == first) for i, (panel, _) in enumerate(found))


def quantity_name(quantity: str) -> str:
    """A quantity in prose.

    >>> quantity_name("kl_policy_expert_nats_per_response"), quantity_name("pass_at_k/4")
    ('KL policy expert', 'pass@4')
    """
    base, _, part = quantity.partition("/")
    if part and base in WITH_PART:
        return WITH_PART[base].format(part)
    words = base.replace("_", " ").removesuffix(UNITS_IN_NAMES).split()
    prose = " ".join(ALWAYS_CAPITAL.get(word, word) for word in words)
    return f"{prose}, {part}" if part else prose


def reading_cell(notes: Notes, figure: Figure | None, quantity: str = "") -> Cell:
    """A figure of any size with three digits; a footnote says why it is not resolved, or what an unusual one means.

    None: never looked at there.
    """
    if figure is None:
        return Cell(NONE, title="nothing to measure there", tone="absent")
    if isinstance(figure, Unresolved):
        words = f"not resolved: {in_users_words(figure.reason)}"
        return Cell(NONE, note=notes.mark(words), title=words, tone="absent")
    meaning = meaning_of(quantity, figure)
    return Cell(*significant_texts(figure), note=notes.mark(meaning) if meaning else None, title=provenance(figure))


def _tasks(stage: StageRecord) -> list[str]:
    """The task trained on first, then the others that were measured."""
    return list(dict.fromkeys([stage.task, *(item.point.task for item in stage.measurements)]))


def _opened(panel: StagePanel, is_open: bool) -> StagePanel:
    return StagePanel(panel.title, is_open, panel.latest_step, panel.instruments, panel.notes)


def _panel(stage: StageRecord, task: str, several: bool) -> tuple[StagePanel, str] | None:
    figures = _series(item for item in stage.measurements if (item.point.task, item.point.weights) == (task, RAW))
    notes = Notes()
    shown = [each for each in stage.instruments if each["name"] not in SHOWN_ELSEWHERE]
    instruments = tuple(found for each in shown if (found := _instrument(each, figures, notes)) is not None)
    if not instruments:
        return None
    latest = max(step for series in figures.values() for step in series)
    title = f"{stage.name}, on {task}" if several else stage.name
    return StagePanel(title, False, latest, instruments, tuple(notes.reasons)), stage.kind


def _series(measurements: Iterable[Measurement]) -> dict[str, dict[int, Figure]]:
    """Figures by quantity and step."""
    found: dict[str, dict[int, Figure]] = {}
    for item in measurements:
        found.setdefault(item.quantity, {})[item.point.step] = item.figure
    return found


def _instrument(
    told: Mapping[str, Any], figures: Mapping[str, Mapping[int, Figure]], notes: Notes
) -> Instrument | None:
    quantities = [quantity for quantity in told["quantities"] if quantity in figures]
    if not quantities:
        return None
    rows: list[ReadingRow] = []
    folded: list[tuple[str, tuple[ReadingRow, ...]]] = []
    for base in dict.fromkeys(map(_base, quantities)):
        names = sorted((name for name in quantities if _base(name) == base), key=_in_order)
        parts = [name for name in names if "/" in name]
        aside = parts if len(parts) > MOST_PARTS else []
        rows += [_row(name, figures[name], notes) for name in names if name not in aside]
        if aside:
            folded.append((quantity_name(base), tuple(_row(name, figures[name], notes) for name in aside)))
    return Instrument(quantity_name(told["name"]), told["sentence"], told["source"], tuple(rows), tuple(folded))


def _base(quantity: str) -> str:
    return quantity.partition("/")[0]


def _in_order(quantity: str) -> tuple[Any, ...]:
    """Parts by their number, where they have one: layer 10 after layer 9, k = 16 after 8."""
    part = quantity.partition("/")[2]
    digits = "".join(letter for letter in part if letter.isdecimal())
    return part != "", int(digits or 0), part


def _row(quantity: str, series: Mapping[int, Figure], notes: Notes) -> ReadingRow:
    latest = series[max(series)]
    start = series.get(0)
    end = latest if max(series) else None
    return ReadingRow(
        quantity_name(quantity),
        _unit(series.values()),
        reading_cell(notes, start, quantity),
        reading_cell(notes, end, quantity),
    )


def _unit(figures: Iterable[Figure]) -> str:
    """The unit that the figures share, as it is printed."""
    unit = next((figure.unit for figure in figures if isinstance(figure, Estimate)), "")
    return unit.replace("^2", "\u00b2").replace(" x ", " \u00d7 ")
