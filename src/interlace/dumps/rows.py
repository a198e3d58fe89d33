"""Rows into arrays: one entry a completion, prompts as numbers; what cannot be used is counted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from interlace.dumps.columns import Columns, value_at
from interlace.dumps.files import Row, read_rows
from interlace.dumps.tally import Tally
from interlace.dumps.writers import Writer
from interlace.errors import DataError

LARGEST_STEP = 2**53
"""Steps above it are no steps."""
LARGEST_REWARD = 1e30
"""Rewards above it are taken for a mistake; powers that intervals need, up to the eighth, would be infinite."""


@dataclass(frozen=True)
class Samples:
    """Every completion that can be used, in the order of the files.

    `keys`: each prompt's number; `prompts`: that number; `advantages`: NaN where none was written; `completions`: a
    hash of the text. `source` says who wrote them and which column is what; `notes` what was left out.
    """

    steps: Int[np.ndarray, "sample"]
    prompts: Int[np.ndarray, "sample"]
    rewards: Float[np.ndarray, "sample"]
    advantages: Float[np.ndarray, "sample"]
    completions: Int[np.ndarray, "sample"]
    keys: dict[str, int]
    source: str
    notes: tuple[str, ...]

    def chosen(self, which: Bool[np.ndarray, "sample"]) -> Samples:
        """Some of them."""
        names = ("steps", "prompts", "rewards", "advantages", "completions")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


class RowReader:
    """Reads the rollouts of one file after the other."""

    def __init__(self, columns: Columns, tally: Tally) -> None:
        self.columns, self.tally = columns, tally
        self.weights = tuple(columns.rewards.items())
        self.keys: dict[str, int] = {}
        self.steps: list[int] = []
        self.prompts: list[int] = []
        self.rewards: list[float] = []
        self.advantages: list[float] = []
        self.completions: list[int] = []
        self.is_stepless = False

    def read(self, path: Path, writer: Writer, file_step: int | None) -> None:
        """Take in the rollouts of a file; `file_step` is theirs where their rows have none.

        Raises DataError for a reward that is infinite or of an absurd size.
        """
        names = self.columns.names
        identity, step_column = names.get("prompt", names.get("group", "")), names.get("step")
        advantage, completion = names.get("advantage"), names.get("completion")
        for number, row in self._rollouts(path, writer):
            reward, key = self._reward(row), key_of(value_at(row, identity))
            refuse_absurd("a reward", reward, LARGEST_REWARD, f"{path.name}:{number}")
            step = self._step(row, step_column, file_step)
            refusal = _refusal(reward, step, key)
            if refusal:
                self.tally.add(refusal, f"{path.name}:{number}")
                continue
            self.steps.append(step)
            self.rewards.append(reward)
            self.prompts.append(self.keys.setdefault(key, len(self.keys)))
            self.advantages.append(math.nan if advantage is None else number_of(value_at(row, advantage)))
            self.completions.append(0 if completion is None else hash(key_of(value_at(row, completion))))

    def samples(self, source: str, notes: Sequence[str], repeats: bool) -> Samples:
        """Everything read; `repeats`: less batches that were written again at a later step."""
        notes = [*notes, *self.tally.sentences()]
        if self.is_stepless:
            notes.append("No step is written, in a column or in a file's name: those rollouts are taken as of step 0.")
        integers = [np.array(column, dtype=np.int64) for column in (self.steps, self.prompts, self.completions)]
        floats = [np.array(column, dtype=np.float64) for column in (self.rewards, self.advantages)]
        found = Samples(integers[0], integers[1], floats[0], floats[1], integers[2], self.keys, source, tuple(notes))
        return _without_repeats(found) if repeats and "completion" in self.columns.names else found

    def _rollouts(self, path: Path, writer: Writer) -> Iterator[tuple[int, Row]]:
        wanted = self.columns.top_level if writer.is_flat else None
        for number, row in read_rows(path, self.tally, wanted):
            if writer.is_flat:
                yield number, row
                continue
            flat = writer.flat(row)
            if flat is None:
                self.tally.add(f"the row is none of {writer.name}'s", f"{path.name}:{number}")
            yield from ((number, each) for each in flat or ())

    def _reward(self, row: Row) -> float:
        """The weighted sum of what is a number, as TRL adds them up; NaN if nothing is."""
        if len(self.weights) == 1:
            ((name, weight),) = self.weights
            return weight * number_of(value_at(row, name))
        values = [(weight, number_of(value_at(row, name))) for name, weight in self.weights]
        known = [weight * value for weight, value in values if value == value]
        return sum(known) if known else math.nan

    def _step(self, row: Row, column: str | None, file_step: int | None) -> int:
        """The row's step, else its file's; -1 for one that is no step."""
        value = None if column is None else value_at(row, column)
        if value is None:
            self.is_stepless = self.is_stepless or file_step is None
            return file_step or 0
        if type(value) is int and 0 <= value <= LARGEST_STEP:
            return value
        number = number_of(value)
        return int(number) if 0 <= number <= LARGEST_STEP and number == int(number) else -1


def refuse_absurd(what: str, value: float, largest: float, place: str) -> None:
    """Raise DataError for a value that is infinite or of an absurd size, which would drown all others; NaN passes."""
    if abs(value) > largest:
        raise DataError(
            f"{what} must be finite, and at most {largest:.0e} in size. Got {value:.3g} at {place}. Mend what wrote "
            "it, or leave its row out."
        )


def _refusal(reward: float, step: int, key: str) -> str:
    """Why a rollout cannot be used; empty if it can."""
    if reward != reward:
        return "the reward is missing or no number"
    if not key:
        return "the prompt is missing"
    return "the step is no whole number from 0 on" if step < 0 else ""


def number_of(value: Any) -> float:
    """A value as a float; NaN for what is no number.

    >>> number_of(True), number_of("0.5"), number_of(None), number_of(10**400)
    (1.0, 0.5, nan, inf)
    """
    if type(value) is float:
        return value
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:
        return math.inf


def key_of(value: Any) -> str:
    """A text that tells prompts apart: the prompt itself, or its messages as JSON; empty for none.

    >>> key_of([{"role": "user", "content": "1+1=", "tool_calls": None}])
    '[{"content": "1+1=", "role": "user"}]'
    """
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(_without_gaps(value), sort_keys=True, default=str)


def _without_gaps(value: Any) -> Any:
    """Parquet fills what one message lacks of another's fields: such gaps are no difference."""
    if isinstance(value, Mapping):
        return {str(key): _without_gaps(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_gaps(item) for item in value]
    return value


def _without_repeats(samples: Samples) -> Samples:
    """TRL logs its last generation at every logged step, be it new or not: each is kept at its first step."""
    order = np.argsort(samples.steps, kind="stable")
    steps, starts = np.unique(samples.steps[order], return_index=True)
    batches = np.split(order, starts[1:])
    repeated = [steps[i] for i in range(1, len(steps)) if _same(samples, batches[i - 1], batches[i])]
    if not repeated:
        return samples
    note = (
        f"The rollouts of {len(repeated)} steps are those of the step before, written again, and were left out "
        f"(first step {repeated[0]})."
    )
    return replace(samples.chosen(~np.isin(samples.steps, repeated)), notes=(*samples.notes, note))


def _same(samples: Samples, before: Int[np.ndarray, "_"], after: Int[np.ndarray, "_"]) -> bool:
    columns = (samples.prompts, samples.rewards, samples.completions)
    return len(before) == len(after) and all(np.array_equal(column[before], column[after]) for column in columns)
