"""An arm of one run at the common compute, beside its start: under its own weights, their average, and the best place
of the straight line from its start to its end. Whatever is chosen is chosen on one half of the held-out prompts; what
is there, every arm under every kind of weights, is said by the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.analysis.halves import CHOOSING, JUDGING, half_of
from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.compute import OVERSHOOT, By, common_compute, compute_of, compute_of_all
from interlace.analysis.shootout.leads import Values
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, read_trajectory
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.store import RunRecord
from interlace.store.record import StageRecord

PerPrompt = Float[np.ndarray, "prompt"]


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

    @property
    def place(self) -> tuple[float, float]:
        """Mean reward and SFT loss."""
        return float(self.reward.mean()), float(self.loss.mean())

    def value(self, exchange_rate: float) -> float:
        """Mean R - lambda L, reward units; -inf where it is not finite: what diverged is behind all else."""
        reward, loss = self.place
        return _or_least(reward - exchange_rate * loss)


class Look(NamedTuple):
    """A point of an arm: in which of its stages, after how many steps and how much compute since the arm's start, and
    what each half of the prompts says of it."""

    stage: str
    step: int
    compute: float
    choosing: At
    judging: At


@dataclass(frozen=True, eq=False)
class Seen:
    """An arm of one run at the common compute. `looks`: all points up to it, the start first (on the line: all of it);
    `at`: the one it is judged by; `end`: the compute of all of the arm; `common`: that of its run, by its arms' own
    weights (`common_compute`)."""

    looks: tuple[Look, ...]
    at: Look
    end: float
    common: float

    @property
    def start(self) -> At:
        """The arm's start, on the prompts that judge."""
        return self.looks[0].judging

    @property
    def now(self) -> At:
        """Where it is, on the prompts that judge."""
        return self.at.judging

    @property
    def is_paired(self) -> bool:
        """Whether reward and SFT loss are of the same prompts."""
        return self.now.rewarded is self.now.imitated

    def rises(self) -> tuple[PerPrompt, PerPrompt]:
        """Change of reward and of SFT loss since the start, by prompt of each task."""
        with np.errstate(invalid="ignore"):  # inf - inf: not finite
            return self.now.reward - self.start.reward, self.now.loss - self.start.loss

    def values(self, exchange_rate: float) -> Values:
        """What each prompt of each task has of the change of R - lambda L, reward units."""
        reward, loss = self.rises()
        rewarded, imitated = self.now.rewarded.held.task, self.now.imitated.held.task
        if self.is_paired:
            return {rewarded: reward - exchange_rate * loss}
        return {rewarded: reward, imitated: -exchange_rate * loss}

    def gain(self, exchange_rate: float) -> float:
        """Mean change of R - lambda L, reward units; -inf where it is not finite."""
        return _or_least(self.now.value(exchange_rate) - self.start.value(exchange_rate))

    def gain_choosing(self, exchange_rate: float) -> float:
        """The same on the prompts that choose."""
        return _or_least(self.at.choosing.value(exchange_rate) - self.looks[0].choosing.value(exchange_rate))


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def seen_at_common_compute(
    records: Sequence[RunRecord], arms: Sequence[Arm], pair: Pair, by: By, exchange_rate: float
) -> Mapping[str, Mapping[Arm, list[Seen]]]:
    """By kind of weights, every arm that all runs measured so, at the common compute of its own run: that of the arms'
    own weights, for every kind (`common_compute`).

    On the line: the place of most R - lambda L, of arms of one stage whose end is at that compute.
    """
    found: dict[str, dict[Arm, list[Seen]]] = {RAW: {}, AVERAGED: {}, LINE: {}}
    for record in records:
        for weights, arm, seen in _of_run(record, arms, pair, by, exchange_rate):
            found[weights].setdefault(arm, []).append(seen)
    return {weights: {arm: runs for arm, runs in each.items() if len(runs) == len(records)}
            for weights, each in found.items()}  # fmt: skip


def _of_run(
    record: RunRecord, arms: Sequence[Arm], pair: Pair, by: By, exchange_rate: float
) -> Iterator[tuple[str, Arm, Seen]]:
    """Where rewards are sampled each arm saw the start that all share with noise of its own, which is none of the arms'
    differences: it is taken as the first of them saw it."""
    own = {arm: looks for arm in arms if (looks := course_of(record, arm, pair, RAW, by))}
    common = common_compute([looks[-1].compute for looks in own.values()])
    start = next((looks[0] for looks in own.values()), None)
    for arm, looks in own.items():
        is_over = looks[-1].compute > common * OVERSHOOT
        then = _before_rewinding(record, arm) if is_over else record
        for weights in (RAW, AVERAGED):
            course = looks if weights == RAW and then is record else course_of(then, arm, pair, weights, by)
            within = _from(start, [look for look in course if look.compute <= common * OVERSHOOT])
            if within and within[-1].stage == arm.of(record)[-1].stage:  # else the arm without that stage says the same
                yield weights, arm, Seen(tuple(within), within[-1], course[-1].compute, common)
        places = [] if is_over else _from(start, course_of(record, arm, pair, LINE, by))
        if places:
            best = max(places, key=lambda place: place.choosing.value(exchange_rate))
            yield LINE, arm, Seen(tuple(places), best, looks[-1].compute, common)


def _before_rewinding(record: RunRecord, arm: Arm) -> RunRecord:
    """The run while the arm's last stage still went on: before a stop rule took it back to an earlier look."""
    last = arm.of(record)[-1]
    stages = tuple(replace(stage, stopped=None) if stage is last else stage for stage in record.stages)
    return replace(record, stages=stages) if last.is_rewound else record


def _from(start: Look | None, looks: Sequence[Look]) -> list[Look]:
    """`looks`, the first of them seen as the common start is."""
    if start is None or not looks:
        return list(looks)
    return [looks[0]._replace(choosing=start.choosing, judging=start.judging), *looks[1:]]


def course_of(record: RunRecord, arm: Arm, pair: Pair, weights: str, by: By) -> list[Look]:
    """An arm's looks at both tasks through all of its stages; none where an objective was not measured in any. The last
    of a stage that went back to it has the compute of all of the stage. On the line its places, all with the step and
    compute of its end."""
    stages = arm.of(record)
    if weights == LINE:
        return list(_line(record, stages[0], pair, by)) if len(stages) == 1 else []
    found: list[Look] = []
    steps, before = 0, 0.0
    for stage in stages:
        looks = list(_looks(record, stage, pair, weights, by, steps, before))
        if not looks:
            return []
        found += looks if not found else looks[1:]  # the start is the end of the stage before
        steps, before = steps + stage.end_step, before + compute_of_all(stage, by)
    return found


def _looks(
    record: RunRecord, stage: StageRecord, pair: Pair, weights: str, by: By, steps: int, before: float
) -> Iterator[Look]:
    rewarded, imitated = _measured(record, stage.stage, pair, weights)
    others = {shot.step: shot for shot in imitated}
    for shot in rewarded:
        compute = compute_of(stage, shot.step, by) if shot.step else 0.0
        if stage.is_rewound and shot.step == stage.end_step:
            compute = compute_of_all(stage, by)
        if compute is not None and shot.step in others:
            yield Look(stage.stage, steps + shot.step, before + compute, *halves_at(pair, shot, others[shot.step]))


def _line(record: RunRecord, stage: StageRecord, pair: Pair, by: By) -> Iterator[Look]:
    """The places of the straight line, that of the start first; none where it was not measured."""
    for shot, other in zip(*_measured(record, stage.stage, pair, LINE), strict=True):
        yield Look(stage.stage, stage.end_step, compute_of_all(stage, by), *halves_at(pair, shot, other))


def _measured(record: RunRecord, stage: str, pair: Pair, weights: str) -> tuple[Sequence[Snapshot], Sequence[Snapshot]]:
    """Of both tasks; nothing where an objective was not measured, or no prompt is left to judge."""
    found = []
    for task in pair:
        trajectory = read_trajectory(record, stage, task, weights)
        missing = trajectory.gap(SFT_LOSS, REWARD)
        if missing not in (None, trajectory.rewound) or trajectory.held.num_prompts < 2:
            return (), ()
        found.append(trajectory.measured(SFT_LOSS, REWARD).snapshots)
    return found[0], found[1]


def halves_at(pair: Pair, rewarded: Snapshot, imitated: Snapshot) -> tuple[At, At]:
    """Both objectives at one point by the prompts that choose, and by those that judge."""
    return _at(pair, rewarded, imitated, CHOOSING), _at(pair, rewarded, imitated, JUDGING)


def _at(pair: Pair, rewarded: Snapshot, imitated: Snapshot, half: int) -> At:
    first = half_of(rewarded, half)
    return At(first, first if pair.rewarded == pair.imitated else half_of(imitated, half))
