"""An arm of one run at the common compute, beside its start: under its own weights, their average, and the best place
of the straight line from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.arms import Pair, stage_named
from interlace.analysis.shootout.compute import OVERSHOOT, By, known_looks
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory, read_trajectory
from interlace.measurement import LINE, RAW
from interlace.store import RunRecord

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
    """An arm of one run at the common compute. `looks`: all points up to it, the start first (on the line: all of it);
    `prompts`: those that speak, half of them where the other half chose the place."""

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


class _Look(NamedTuple):
    at: At
    compute: float


def seen_at_common_compute(
    records: Sequence[RunRecord], arms: Sequence[str], pair: Pair, weights: str, by: By, exchange_rate: float
) -> Mapping[str, list[Seen]]:
    """Every arm that all runs measured, at the compute that all arms of its own run reached.

    On the line: the place of most R - lambda L by half of the prompts, of arms whose end is at that compute.
    """
    found: dict[str, list[Seen]] = {}
    for record in records:
        for arm, seen in _of_run(record, arms, pair, weights, by, exchange_rate):
            found.setdefault(arm, []).append(seen)
    return {arm: each for arm, each in found.items() if len(each) == len(records)}


def _of_run(
    record: RunRecord, arms: Sequence[str], pair: Pair, weights: str, by: By, exchange_rate: float
) -> Iterator[tuple[str, Seen]]:
    own = RAW if weights == LINE else weights
    courses = {arm: looks for arm in arms if (looks := _looks(record, arm, pair, own, by))}
    limit = min((looks[-1].compute for looks in courses.values()), default=0.0) * OVERSHOOT
    for arm, looks in courses.items():
        within = [look for look in looks if look.compute <= limit]
        now, compute = within[-1]
        seen = Seen(now.rewarded.step, compute, tuple(look.at for look in within), now, ALL)
        if weights != LINE:
            yield arm, seen
        elif len(within) == len(looks) and (places := _line(record, arm, pair)):
            yield arm, _best_place(seen, places, exchange_rate)


def _looks(record: RunRecord, arm: str, pair: Pair, weights: str, by: By) -> list[_Look]:
    """An arm's looks at both tasks, with what had been taken by then; none where an objective was not measured."""
    stage = stage_named(record, arm)
    rewarded, imitated = (_measured(record, stage.stage, task, weights) for task in pair)
    if rewarded is None or imitated is None:
        return []
    others = {shot.step: shot for shot in imitated.snapshots}
    known = [look for look in known_looks(stage, rewarded, by) if look[0].step in others]
    return [_Look(_at(pair, shot, others[shot.step]), compute) for shot, compute in known]


def _line(record: RunRecord, arm: str, pair: Pair) -> list[At]:
    """The places of the straight line, that of the start first; none where it was not measured."""
    found = [_measured(record, stage_named(record, arm).stage, task, LINE) for task in pair]
    if None in found:
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
