"""Which stages of some runs are the arms of a shoot-out, and on which two objectives they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from interlace.errors import DataError
from interlace.store import RunRecord
from interlace.store.record import StageRecord

THEN = " \u2192 "
"""Between the stages of an arm."""


class Pair(NamedTuple):
    """The task whose reward counts and the task whose expert's SFT loss does: mostly one and the same."""

    rewarded: str
    imitated: str

    @property
    def name(self) -> str:
        """Both, or the one task."""
        same = self.rewarded == self.imitated
        return self.rewarded if same else f"reward of {self.rewarded}, SFT loss of {self.imitated}"


class Arm(NamedTuple):
    """Stages one after the other, each from the one before: mostly one."""

    stages: tuple[str, ...]

    @property
    def name(self) -> str:
        """The stages' names."""
        return THEN.join(self.stages)

    def of(self, record: RunRecord) -> list[StageRecord]:
        """Its stages in one run."""
        return [next(stage for stage in record.stages if stage.name == name) for name in self.stages]


class Arms(NamedTuple):
    """`arms` that begin with the weights of stage `start`, in the recipe's order."""

    start: str
    arms: tuple[Arm, ...]


def arms_of(records: Sequence[RunRecord]) -> Arms:
    """The stage from which most paths of stages go out, and these paths, each to its last stage.

    Stages count that every run has finished, and whose compute is known. Raises DataError where fewer than two paths
    begin alike.
    """
    record, *others = records
    done = [{stage.name for stage in each.stages if is_counted(stage)} for each in (record, *others)]
    sources = {name: source for name, source in _sources(record) if all(name in each for each in done)}
    paths = {start: [Arm(path) for path in _paths(sources, start)] for start in dict.fromkeys(sources.values())}
    start, arms = _first_fork(sources, *max(paths.items(), key=lambda item: len(item[1]), default=("", [])))
    if len(arms) < 2:
        raise DataError(
            "a shoot-out must have two finished stages or more that begin with the same weights (start_from) and say "
            f"what they took. {record.folder} has {len(arms)}. See interlace list recipes, shootout-addition."
        )
    return Arms(start, tuple(arms))


def _sources(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Of each stage the one whose weights it begins with, or model."""
    names = [stage.name for stage in record.stages]
    for place, stage in enumerate(record.stages):
        asked = str(stage.options.get("start_from", "raw"))
        yield stage.name, asked if asked in names or asked == "model" else (names[place - 1] if place else "model")


def _paths(sources: Mapping[str, str], start: str) -> Iterator[tuple[str, ...]]:
    """All ways from `start` to a stage that nothing begins with."""
    for name, source in sources.items():
        if source == start:
            further = [(name, *path) for path in _paths(sources, name)]
            yield from further or [(name,)]


def _first_fork(sources: Mapping[str, str], start: str, arms: list[Arm]) -> tuple[str, list[Arm]]:
    """Stages that all arms share belong to the start."""
    while len(arms) > 1 and len({arm.stages[0] for arm in arms}) == 1:
        start = arms[0].stages[0]
        arms = [Arm(path) for path in _paths(sources, start)]
    return start, arms


def is_counted(stage: StageRecord) -> bool:
    """Whether a stage ended, and what it took is known."""
    return bool(stage.spent) and stage.finished


def method_of(stage: StageRecord) -> Mapping[str, Any]:
    """The method of a hybrid stage with its options; of another only its kind, as `name`."""
    return stage.options.get("method") or {"name": stage.kind}


def pairs_of(record: RunRecord, arms: Sequence[Arm]) -> list[Pair]:
    """The pairs of objectives that arms were trained for, each once."""
    stages = [stage for arm in arms for stage in arm.of(record)]
    return list(dict.fromkeys(Pair(stage.task, str(stage.options.get("imitate") or stage.task)) for stage in stages))


def rl_alone(record: RunRecord, arms: Sequence[Arm]) -> Arm | None:
    """The arm that never imitates: after the SFT that all begin with, it is SFT -> RL."""
    return next((arm for arm in arms if all(_is_rl(stage) for stage in arm.of(record))), None)


def _is_rl(stage: StageRecord) -> bool:
    method = method_of(stage)
    is_plain = stage.kind == "rl" and not stage.options.get("placebo")
    return is_plain or (method.get("name"), method.get("mu")) == ("joint", 0.0)
