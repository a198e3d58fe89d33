"""SFT loss along steps, from log-probabilities of expert responses that were read at checkpoints."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from interlace.dumps.expert import column
from interlace.dumps.files import Row, find_files, read_rows, refuse_damaged
from interlace.dumps.rows import key_of, number_of, refuse_absurd
from interlace.dumps.tally import Tally
from interlace.errors import DataError
from interlace.statistics import Segments

NAMES = {
    "step": ("step", "global_step"),
    "prompt": ("prompt", "id", "prompt_id", "example_id", "question", "input", "messages"),
    "logprob": ("logprob", "logprobs", "log_prob", "sum_logprob"),
}
LARGEST_LOSS = 1e9
"""Nats of a response; more of them are taken for a mistake."""
TOKENS, REWARDS = ("num_tokens", "tokens", "response_tokens"), ("reward", "score")


@dataclass(frozen=True)
class Losses:
    """Expert responses that were read at every step. `loss`, nats, is the mean over a prompt's responses; `right` what
    its right ones add to it, None unless all rewards are 0 or 1; `tokens` a response, None if they are not said."""

    steps: Int[np.ndarray, "step"]
    prompts: Int[np.ndarray, "prompt"]
    loss: Float[np.ndarray, "prompt step"]
    right: Float[np.ndarray, "prompt step"] | None
    tokens: Float[np.ndarray, "prompt"] | None
    notes: tuple[str, ...]

    @property
    def segment(self) -> Segments:
        """The losses at all steps, one segment of prompts: to be resampled with the rollouts."""
        return Segments(self.prompts, np.array([0]), self.loss)


@dataclass(frozen=True, slots=True)
class _Response:
    logprob: float
    tokens: float
    reward: float


def read_losses(file: Path, keys: dict[str, int]) -> Losses:
    """The table of `file`: columns step, prompt or id, logprob (of the whole response, nats, at most 0); num_tokens and
    the response's reward where they are there. Prompts that are new are added to `keys`.

    Raises DataError without such columns, for a log-probability above 0, infinite or of an absurd size, or without a
    prompt that is at every step.
    """
    tally = Tally()
    found = _table(file, tally)
    steps = sorted(found)
    counts = [{prompt: len(rows) for prompt, rows in found[step].items()} for step in steps]
    kept = [prompt for prompt in found[steps[0]] if len({count.get(prompt, 0) for count in counts}) == 1]
    everything = set().union(*counts)
    notes = list(tally.sentences())
    if len(everything) > len(kept):
        notes.append(f"{len(everything) - len(kept):,} prompts were left out: they are not at every step alike.")
    if not kept:
        raise DataError(f"--logprobs must have the same prompts at every step. Got {file}, where none is. Check it.")
    rows = [[found[step][prompt] for step in steps] for prompt in kept]
    return Losses(
        steps=np.array(steps, dtype=np.int64),
        prompts=np.array([keys.setdefault(prompt, len(keys)) for prompt in kept], dtype=np.int64),
        loss=np.array([[-np.mean([item.logprob for item in cell]) for cell in row] for row in rows]),
        right=_right(rows),
        tokens=_tokens(rows),
        notes=tuple(f"Log-probabilities: {note}" for note in notes),
    )


def _table(file: Path, tally: Tally) -> dict[int, dict[str, list[_Response]]]:
    """By step and prompt, the responses in the order of the file."""
    found: dict[int, dict[str, list[_Response]]] = defaultdict(lambda: defaultdict(list))
    above = Counter[str]()
    files, any_row = find_files(file, "--logprobs"), False
    for path in files:
        names: dict[str, str] = {}
        for number, row in read_rows(path, tally):
            names, any_row = names or _names(row, path), True
            step, logprob = number_of(row.get(names["step"])), number_of(row.get(names["logprob"]))
            key = key_of(row.get(names["prompt"]))
            refuse_absurd("a log-probability", logprob, LARGEST_LOSS, f"{path.name}:{number}")
            if not (key and math.isfinite(step) and math.isfinite(logprob)):
                tally.add("the step, the prompt or the log-probability is missing", f"{path.name}:{number}")
                continue
            above[f"{path.name}:{number}"] += logprob > 1e-6
            tokens, reward = (number_of(row.get(names[name])) for name in ("tokens", "reward"))
            found[int(step)][key].append(_Response(logprob, tokens, reward))
    wrong = [place for place, count in above.items() if count]
    if wrong:
        raise DataError(
            f"log-probabilities must be at most 0. Got one above 0 at {wrong[0]} ({len(wrong)} in all). Give the sum "
            "of log p over the response, nats, not the loss."
        )
    if not any_row:
        refuse_damaged("--logprobs", file, files)
    if not found:
        raise DataError(f"--logprobs must hold steps, prompts and log-probabilities. Got {file}, where none is.")
    return found


def _names(row: Row, path: Path) -> dict[str, str]:
    names = {role: column(row, known, path, f"the {role}") for role, known in NAMES.items()}
    optional = {"tokens": TOKENS, "reward": REWARDS}
    there = {role: next((name for name in known if name in row), "") for role, known in optional.items()}
    return names | there


def _right(rows: list[list[list[_Response]]]) -> np.ndarray | None:
    """What right responses add to each prompt's loss; None where rewards are not 0 or 1, or change between steps."""
    rewards = [[[item.reward for item in cell] for cell in row] for row in rows]
    if any(value not in (0.0, 1.0) for row in rewards for cell in row for value in cell):
        return None
    if any(cell != row[0] for row in rewards for cell in row):
        return None
    return np.array([[-np.mean([item.logprob * item.reward for item in cell]) for cell in row] for row in rows])


def _tokens(rows: list[list[list[_Response]]]) -> np.ndarray | None:
    counts = np.array([np.mean([item.tokens for item in row[0]]) for row in rows])
    return counts if np.isfinite(counts).all() and (counts > 0).all() else None
