"""What has no row in a shoot-out, and why: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from interlace.analysis.shootout.arms import (
    AVERAGE,
    MODEL,
    THEN,
    Arm,
    Arms,
    Pair,
    differing,
    is_counted,
    sources_of,
    way_to,
)
from interlace.analysis.shootout.compute import By
from interlace.analysis.shootout.seen import course_of
from interlace.measurement import RAW
from interlace.store import RunRecord
from interlace.wording import listed

HYBRID, MERGE = "hybrid", "merge"
KIND = "kind"
NOT_BEGUN = f"it has begun no {HYBRID} stage; the command that began the run goes on with it"
MERGED = "a merge has no compute of its own by which it could be made equal; the stages\u2019 own figures tell it"
NOT_MEASURED = "reward or SFT loss was not measured all along it, on two held-out prompts or more, of which one judges"
NOT_THERE_YET = "at the common compute it has not come to its last stage"

Plan = Mapping[str, Mapping[str, Any]]
"""The stages of a run by name, each with its options and its kind, in order."""


class NoShootout(NamedTuple):
    """Why the runs of a recipe that mixes have no shoot-out."""

    recipe: str
    reason: str

    @property
    def sentence(self) -> str:
        """Both."""
        return f"{self.recipe} has no shoot-out: {self.reason}"

    def to_json(self) -> dict[str, str]:
        """The object on the wire."""
        return self._asdict()


def is_contest(records: Sequence[RunRecord]) -> bool:
    """Whether some runs of a recipe are to be a shoot-out: one of them mixes, and two stages, done or not, begin with
    the same weights."""
    mixes = any(stage.kind == HYBRID for record in records for stage in record.stages)
    sources = list(_sources([_plan(record) for record in records]).values())
    return mixes and len(set(sources)) < len(sources)


def begun_and_not(records: Sequence[RunRecord]) -> tuple[list[RunRecord], dict[str, str]]:
    """The runs that have begun to mix, or all of them where none has; and of each other one why it is left out."""
    begun = [record for record in records if any(stage.kind == HYBRID for stage in record.stages)] or list(records)
    return begun, {f"seed {record.seed}": NOT_BEGUN for record in records if record not in begun}


def not_arms(records: Sequence[RunRecord], arms: Arms) -> dict[str, str]:
    """Of each stage that is no arm's, why: of those that some run has, or is to have by its recipe, but for what comes
    before the start."""
    plans = [_plan(record) for record in records]
    sources = _sources(plans)
    kinds = {name: options[KIND] for plan in plans for name, options in plan.items()}
    counted = {name for arm in arms.arms for name in arm.stages}
    before = set(way_to(sources, arms.start))
    found = {}
    for name, source in sources.items():
        if name in counted or name in before:
            continue
        reason = MERGED if kinds[name] == MERGE else _elsewhere(source, arms, counted, before)
        found[_path_name(sources, name, before)] = reason or _unshared(records, plans, name)
    return found


def not_seen(records: Sequence[RunRecord], arms: Sequence[Arm], pairs: Sequence[Pair], by: By) -> dict[str, str]:
    """Of each of `arms`, none of which has a row, why."""
    return {arm.name: _unseen(records, arm, pairs, by) for arm in arms}


def _unseen(records: Sequence[RunRecord], arm: Arm, pairs: Sequence[Pair], by: By) -> str:
    measured = any(all(course_of(record, arm, pair, RAW, by) for record in records) for pair in pairs)
    return NOT_THERE_YET if measured else NOT_MEASURED


def _plan(record: RunRecord) -> Plan:
    """The stages that the run's recipe has for its seed, then what else was begun."""
    resolved = {
        str(options["name"]): {**options, KIND: kind}
        for stage in record.resolved.get("stages") or ()
        for kind, options in stage.items()
        if options.get("seeds") is None or record.seed in options["seeds"]
    }
    return resolved | {stage.name: {**stage.options, KIND: stage.kind} for stage in record.stages}


def _sources(plans: Sequence[Plan]) -> dict[str, str]:
    """What each stage begins with, by the first run that has it."""
    return dict(pair for plan in reversed(plans) for pair in sources_of(plan))


def _path_name(sources: Mapping[str, str], name: str, before: set[str]) -> str:
    """As of an arm, where it begins with the start."""
    way = list(way_to(sources, name))
    after = [each for each in way if each not in before]
    return THEN.join(reversed(after)) if len(after) < len(way) else name


def _elsewhere(source: str, arms: Arms, counted: set[str], before: set[str]) -> str:
    """That a stage does not go on from the start, if so."""
    stage = source.removesuffix(AVERAGE)
    if source == arms.start or stage in counted:
        return ""
    if stage == MODEL or stage in before:
        return f"it begins with {'the model' if stage == MODEL else source}, not with {arms.start}"
    return f"it begins with {source}, which is left out"


def _unshared(records: Sequence[RunRecord], plans: Sequence[Plan], name: str) -> str:
    """What keeps the runs from having the stage in common."""
    runs = list(zip(records, plans, strict=True))
    lacking = [record.seed for record, plan in runs if name not in plan]
    begun = {record.seed: stage for record in records for stage in record.stages if stage.name == name}
    diverged = [seed for seed, stage in begun.items() if stage.diverged is not None]
    undone = [record.seed for record, plan in runs if name in plan and record.seed not in diverged
              and not (record.seed in begun and begun[record.seed].finished)]  # fmt: skip
    uncounted = [seed for seed, stage in begun.items() if stage.finished and not is_counted(stage)]
    given = next((plan[name]["seeds"] for plan in plans if name in plan and plan[name].get("seeds")), None)
    otherwise = differing([stage.options for stage in begun.values()])
    parts = (
        (lacking and given, f"the recipe gives it to {_seeds(given or ())} alone"),
        (
            lacking and not given,
            f"{_seeds(lacking, 'does', 'do')} not have it; run with the same seeds, the recipe that has it adds it",
        ),
        (diverged, f"it diverged in {_seeds(diverged)}: its weights were not finite"),
        (undone, f"{_seeds(undone, 'has', 'have')} not finished it; the command that began the run goes on with it"),
        (uncounted, f"{_seeds(uncounted, 'has', 'have')} no record of what it took"),
        (otherwise, f"seeds trained it with other options ({', '.join(otherwise)})"),
    )
    return "; ".join(text for found, text in parts if found)


def _seeds(seeds: Sequence[int], *verbs: str) -> str:
    """In words; `verbs`: of one, and of several."""
    several = len(seeds) > 1
    return " ".join([f"seed{'s' * several} {listed([str(seed) for seed in seeds])}", *verbs[several : several + 1]])
