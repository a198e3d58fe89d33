"""Which stages of some runs are the arms of a shoot-out, and on which two objectives they are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from interlace.errors import DataError
from interlace.store import RunRecord
from interlace.store.record import StageRecord


class Pair(NamedTuple):
    """The task whose reward counts and the task whose expert's SFT loss does: mostly one and the same."""

    rewarded: str
    imitated: str

    @property
    def name(self) -> str:
        """Both, or the one task."""
        same = self.rewarded == self.imitated
        return self.rewarded if same else f"reward of {self.rewarded}, SFT loss of {self.imitated}"


class Arms(NamedTuple):
    """`names` of the stages that begin with the weights of stage `start`, in the recipe's order."""

    start: str
    names: tuple[str, ...]


def arms_of(records: Sequence[RunRecord]) -> Arms:
    """The stage that most others begin with, and those that every run has finished.

    Raises DataError where fewer than two begin alike and say what they took.
    """
    found: dict[str, list[str]] = {}
    record, *others = records
    done = [{stage.name for stage in other.stages if is_counted(stage)} for other in others]
    names = [stage.name for stage in record.stages]
    for place, stage in enumerate(record.stages):
        asked = str(stage.options.get("start_from", "raw"))
        source = asked if asked in names or asked == "model" else (names[place - 1] if place else "model")
        if is_counted(stage) and all(stage.name in each for each in done):
            found.setdefault(source, []).append(stage.name)
    start, arms = max(found.items(), key=lambda item: len(item[1]), default=("", []))
    if len(arms) < 2:
        raise DataError(
            "a shoot-out must have two finished stages or more that begin with the same weights (start_from) and say "
            f"what they took. {record.folder} has {len(arms)}. See interlace list recipes, shootout-addition."
        )
    return Arms(start, tuple(arms))


def is_counted(stage: StageRecord) -> bool:
    """Whether a stage ended, and what it took is known."""
    return bool(stage.spent) and stage.finished


def stage_named(record: RunRecord, name: str) -> StageRecord:
    """The stage of one run that a recipe calls so."""
    return next(stage for stage in record.stages if stage.name == name)


def method_of(stage: StageRecord) -> Mapping[str, Any]:
    """The method of a hybrid stage with its options; of another only its kind, as `name`."""
    return stage.options.get("method") or {"name": stage.kind}


def pairs_of(record: RunRecord, arms: Sequence[str]) -> list[Pair]:
    """The pairs of objectives that arms were trained for, each once."""
    stages = [stage_named(record, arm) for arm in arms]
    return list(dict.fromkeys(Pair(stage.task, str(stage.options.get("imitate") or stage.task)) for stage in stages))


def rl_alone(record: RunRecord, arms: Sequence[str]) -> str | None:
    """The arm that never imitates: after the SFT that all begin with, it is SFT -> RL."""
    for arm in arms:
        stage, method = stage_named(record, arm), method_of(stage_named(record, arm))
        is_plain = stage.kind == "rl" and not stage.options.get("placebo")
        if is_plain or (method.get("name"), method.get("mu")) == ("joint", 0.0):
            return arm
    return None
