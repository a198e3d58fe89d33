"""An arm of one run at the common compute, beside its start: under its own weights, their average, and the best place
of the straight line from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.compute import OVERSHOOT, By, common_compute, compute_of, compute_of_all
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory, read_trajectory
from interlace.measurement import LINE, RAW
from interlace.store import RunRecord
from interlace.store.record import StageRecord

PerPrompt = Float[np.ndarray, "prompt"]
CHOOSING, JUDGING, ALL = slice(0, None, 2), slice(1, None, 2), slice(None)
"""Held-out prompts that choose a place on the line, those that then say what is there, and all of them."""


@dataclass(frozen=True, eq=False)
class At:
    """Both objectives at one point: the rewarded task's snapshot, and the imitated one's."""

    rewarded: Snapshot
    imitated: Snapshot

    @property
    def reward(self) -> PerPrompt:
        """Of each prompt of the rewarded task, reward units."""
        return self.rewarded.reward

    @property
    def loss(self) -> PerPrompt:
        """SFT loss of each prompt of the imitated task, nats/response."""
        return self.imitated.loss


@dataclass(frozen=True, eq=False)
class Seen:
    """An arm of one run at the common compute. `stage`: the one of its stages that it is in, by folder; `step`: since
    the arm's start; `looks`: all points up to it, the start first (on the line: all of it); `prompts`: those that
    speak, half of them where the other half chose the place."""

    stage: str
    step: int
    compute: float
    looks: tuple[At, ...]
    now: At
    prompts: slice

    @property
    def start(self) -> At:
        """The stage's start."""
        return self.looks[0]

    @property
    def place(self) -> tuple[float, float]:
        """Mean reward and SFT loss."""
        return float(self.now.reward[self.prompts].mean()), float(self.now.loss[self.prompts].mean())

    @property
    def is_paired(self) -> bool:
        """Whether reward and SFT loss are of the same prompts."""
        return self.now.rewarded is self.now.imitated

    def rises(self, prompts: slice | None = None) -> tuple[PerPrompt, PerPrompt]:
        """Change of reward and of SFT loss since the start, by prompt of each task."""
        of = self.prompts if prompts is None else prompts
        return (self.now.reward - self.start.reward)[of], (self.now.loss - self.start.loss)[of]

    def gain(self, exchange_rate: float) -> float:
        """Mean change of R - lambda L, reward units."""
        reward, loss = self.rises()
        return float(reward.mean() - exchange_rate * loss.mean())


class Look(NamedTuple):
    """A point of an arm: in which of its stages, after how many steps and how much compute since the arm's start."""

    stage: str
    step: int
    at: At
    compute: float


def seen_at_common_compute(
    records: Sequence[RunRecord], arms: Sequence[Arm], pair: Pair, weights: str, by: By, exchange_rate: float
) -> Mapping[Arm, list[Seen]]:
    """Every arm that all runs measured, at the compute that all arms of its own run reached (`common_compute`).

    On the line: the place of most R - lambda L by half of the prompts, of arms of one stage whose end is at that
    compute.
    """
    found: dict[Arm, list[Seen]] = {}
    for record in records:
        for arm, seen in _of_run(record, arms, pair, weights, by, exchange_rate):
            found.setdefault(arm, []).append(seen)
    return {arm: each for arm, each in found.items() if len(each) == len(records)}


def _of_run(
    record: RunRecord, arms: Sequence[Arm], pair: Pair, weights: str, by: By, exchange_rate: float
) -> Iterator[tuple[Arm, Seen]]:
    own = RAW if weights == LINE else weights
    courses = {arm: looks for arm in arms if (looks := course_of(record, arm, pair, own, by))}
    limit = common_compute([looks[-1].compute for looks in courses.values()]) * OVERSHOOT
    for arm, looks in courses.items():
        within = [look for look in looks if look.compute <= limit]
        last = within[-1]
        if last.stage != arm.of(record)[-1].stage:
            continue  # it has not come to its last stage: the arm without that says the same
        seen = Seen(last.stage, last.step, last.compute, tuple(look.at for look in within), last.at, ALL)
        if weights != LINE:
            yield arm, seen
        elif len(within) == len(looks) and (places := _line(record, arm, pair)):
            yield arm, _best_place(seen, places, exchange_rate)


def course_of(record: RunRecord, arm: Arm, pair: Pair, weights: str, by: By) -> list[Look]:
    """An arm's looks at both tasks through all of its stages; none where an objective was not measured in any. On the
    line its places, all with the compute of its end."""
    found: list[Look] = []
    if weights == LINE:
        (first, *_) = stages = arm.of(record)
        spent = sum(compute_of_all(stage, by) for stage in stages)
        return [Look(first.stage, first.end_step, at, spent) for at in _line(record, arm, pair)]
    steps, before = 0, 0.0
    for stage in arm.of(record):
        looks = list(_looks(record, stage, pair, weights, by, steps, before))
        if not looks:
            return []
        found += looks if not found else looks[1:]  # the start is the end of the stage before
        steps, before = steps + stage.end_step, before + compute_of_all(stage, by)
    return found


def _looks(
    record: RunRecord, stage: StageRecord, pair: Pair, weights: str, by: By, steps: int, before: float
) -> Iterator[Look]:
    rewarded, imitated = (_measured(record, stage.stage, task, weights) for task in pair)
    if rewarded is None or imitated is None:
        return
    others = {shot.step: shot for shot in imitated.snapshots}
    for shot in rewarded.snapshots:
        compute = compute_of(stage, shot.step, by) if shot.step else 0.0
        if compute is not None and shot.step in others:
            at = _at(pair, shot, others[shot.step])
            yield Look(stage.stage, steps + shot.step, at, before + compute)


def _line(record: RunRecord, arm: Arm, pair: Pair) -> list[At]:
    """The places of the straight line, that of the start first; none where it was not measured."""
    stages = arm.of(record)
    found = [_measured(record, stages[0].stage, task, LINE) for task in pair]
    if len(stages) > 1 or None in found:
        return []
    return [_at(pair, *each) for each in zip(*(line.snapshots for line in found if line is not None), strict=True)]


def _measured(record: RunRecord, stage: str, task: str, weights: str) -> Trajectory | None:
    trajectory = read_trajectory(record, stage, task, weights)
    return trajectory.measured(SFT_LOSS, REWARD) if trajectory.gap(SFT_LOSS, REWARD) is None else None


def _at(pair: Pair, rewarded: Snapshot, imitated: Snapshot) -> At:
    return At(rewarded, rewarded if pair.rewarded == pair.imitated else imitated)


def _best_place(end: Seen, places: Sequence[At], exchange_rate: float) -> Seen:
    line = replace(end, looks=tuple(places))
    choosing = [replace(line, now=place, prompts=CHOOSING) for place in places]
    best = max(choosing, key=lambda place: place.gain(exchange_rate))
    return replace(best, prompts=JUDGING)
