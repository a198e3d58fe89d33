"""Which stages of some runs are the arms of a shoot-out, and on which two objectives they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from interlace.errors import DataError
from interlace.store import RunRecord
from interlace.store.record import StageRecord

THEN = " \u2192 "
"""Between the stages of an arm."""
TOLD = ", "
"""Between a method and what it was told."""
AVERAGE = ", averaged"
"""After a stage whose averaged weights others begin with."""
MODEL = "model"
"""What a stage begins with that begins with no other."""


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
    """The weights that most stages begin with, and every path of stages from there.

    Stages count that every run has finished, with the same options, and whose compute is known. Raises DataError where
    fewer than two begin alike, or where runs trained the start itself with other options.
    """
    record = records[0]
    sources = {name: source for name, source in sources_of(_begun(record)) if _is_shared(records, name)}
    start, first = common_start(sources)
    if len(first) < 2:
        seeds = ", ".join(str(each.seed) for each in records)
        raise DataError(
            "a shoot-out must have two finished stages or more that begin with the same weights (start_from) and say "
            f"what they took, the same in every run. Seeds {seeds} have {len(first)}: runs that are not done are "
            "continued by the command that began them. See interlace list recipes, shootout-addition."
        )
    _refuse_other_starts(records, start)
    return Arms(start, tuple(Arm(path) for path in paths_from(sources, start)))


def _refuse_other_starts(records: Sequence[RunRecord], start: str) -> None:
    """Raise DataError where a stage on the way to the start was not trained alike in all runs."""
    for name in way_to(dict(sources_of(_begun(records[0]))), start):
        found = [stage.options for record in records for stage in record.stages if stage.name == name]
        if len(found) < len(records):
            raise DataError(
                f"a shoot-out must have runs with the same way to {start}. Not all have {name}. Leave one out."
            )
        names = differing(found)
        if names:
            raise DataError(
                f"a shoot-out must have runs whose start was trained alike. Seeds trained {name} with other options "
                f"({', '.join(names)}). Give those that agree."
            )


def _is_shared(records: Sequence[RunRecord], name: str) -> bool:
    """Whether all runs have counted the stage, and trained it alike."""
    found = [stage for record in records for stage in record.stages if stage.name == name and is_counted(stage)]
    return len(found) == len(records) and all(stage.options == found[0].options for stage in found)


def _begun(record: RunRecord) -> dict[str, Mapping[str, Any]]:
    return {stage.name: stage.options for stage in record.stages}


def sources_of(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of each stage, by name with its options in order, the one whose weights it begins with, or model; of averaged
    weights, that they are."""
    before = MODEL
    for name, options in stages.items():
        asked = str(options.get("start_from", "raw"))
        yield name, asked if asked in stages or asked == MODEL else before + AVERAGE * (asked == "averaged")
        before = name


def way_to(sources: Mapping[str, str], start: str) -> Iterator[str]:
    """The stages whose weights `start` is made of, itself the first."""
    name = start.removesuffix(AVERAGE)
    while name != MODEL and name in sources:
        yield name
        name = sources[name].removesuffix(AVERAGE)


def differing(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of options that are not the same in all."""
    names = dict.fromkeys(name for each in options for name in each)
    return [name for name in names if any(each.get(name) != options[0].get(name) for each in options)]


def common_start(sources: Mapping[str, str]) -> tuple[str, list[str]]:
    """What most stages begin with, and these; "" without stages."""
    children = {start: [name for name, source in sources.items() if source == start] for start in sources.values()}
    return max(children.items(), key=lambda item: len(item[1]), default=("", []))


def paths_from(sources: Mapping[str, str], start: str) -> Iterator[tuple[str, ...]]:
    """All ways from `start` to a stage."""
    for name, source in sources.items():
        if source == start:
            yield (name,)
            for weights in (name, name + AVERAGE):
                yield from ((name, *path) for path in paths_from(sources, weights))


def is_counted(stage: StageRecord) -> bool:
    """Whether a stage ended, and what it took is known."""
    return bool(stage.spent) and stage.finished


def method_of(stage: StageRecord) -> Mapping[str, Any]:
    """The method of a hybrid stage with its options; of another only its kind, as `name`."""
    return stage.options.get("method") or {"name": stage.kind}


def method_text(stage: StageRecord) -> str:
    """The method's name; of a joint stage that is one side alone the weight too, which says which side: plain RL is
    joint, mu 0."""
    told = method_of(stage)
    is_alone = told["name"] == "joint" and told.get("mu") in (0.0, 1.0)
    return f"joint{TOLD}mu {told['mu']:g}" if is_alone else str(told["name"])


def pairs_of(record: RunRecord, arms: Sequence[Arm]) -> list[Pair]:
    """The pairs of objectives that arms were trained for, each once."""
    stages = [stage for arm in arms for stage in arm.of(record)]
    return list(dict.fromkeys(Pair(stage.task, str(stage.options.get("imitate") or stage.task)) for stage in stages))


def rl_alone(records: Sequence[RunRecord], arms: Sequence[Arm]) -> Arm | None:
    """The first arm that never imitated in any run: after the SFT that all begin with, it is SFT -> RL."""
    stages = {arm: [stage for record in records for stage in arm.of(record)] for arm in arms}
    return next((arm for arm in arms if all(map(_never_imitated, stages[arm]))), None)


def _never_imitated(stage: StageRecord) -> bool:
    """RL with true rewards, or hybrid training that counted no imitation and no expert's response to its end."""
    if stage.kind == "rl":
        return not stage.options.get("placebo")
    counted = stage.spent.get(stage.end_step, {})
    found = [counted.get(name) for name in ("imitation_share", "expert_examples")]
    return stage.kind == "hybrid" and found == [0.0, 0.0]
