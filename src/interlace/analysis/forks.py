"""C10: what forks say a stage's change is made of: drift by reward, reward-free drift, diffusion, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.analysis.changes import NATS_RESPONSE, REWARD_UNIT
from interlace.analysis.fork_conclusion import conclusion
from interlace.analysis.summary import ForkLength, ForkSummary
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory
from interlace.estimate import OTHER_SEEDS, Figure, Unresolved
from interlace.measurement import Point
from interlace.statistics import mean_interval
from interlace.statistics.forks import ArmValues, ForkValues, part_figures, rate_figures
from interlace.store import RunRecord, StageRecord
from interlace.store.forks import ForksRecord
from interlace.theory.landscape import noise_share

UNITS = {SFT_LOSS: NATS_RESPONSE, REWARD: REWARD_UNIT}
STAGE, PLACEBO, MIRRORED, PAIRS = "stage", "placebo", "mirrored", "pairs"

LARGEST_GROWTH = 0.5
"""A diffusion per step is printed if the interval of its growth, from shorter forks to the longest, ends below this
share of it."""

PerPrompt = Float[np.ndarray, "prompt"]


def fork_summaries(record: RunRecord, stage: StageRecord, own: Trajectory) -> tuple[ForkSummary, ...]:
    """One summary for each place of the stage that was forked, from its latest experiment; `own` is the run itself."""
    latest = {forks.from_step: forks for forks in stage.forks if stage.task in forks.tasks}
    return tuple(_Reader(record, stage, latest[step], own).summary() for step in sorted(latest))


@dataclass(frozen=True, eq=False)
class _Reader:
    """One experiment, read back for the task that the stage trains on."""

    record: RunRecord
    stage: StageRecord
    forks: ForksRecord
    own: Trajectory
    _read: dict[tuple[int, str], Snapshot] = field(default_factory=dict)

    def summary(self) -> ForkSummary:
        """Everything that the experiment says."""
        forks, done = self.forks, self.stage.end_step
        found = {name: self._parts(name, forks.marks[-1]) for name in UNITS if self._has(name)}
        concluded = (conclusion(name, parts, forks.count, forks.marks[-1], done) for name, parts in found.items())
        return ForkSummary(
            task=self.stage.task,
            from_step=forks.from_step,
            steps=forks.marks[-1],
            count=forks.count,
            placebo=forks.placebo,
            is_disjoint=forks.is_disjoint,
            parts=found,
            lengths=tuple(self._length(mark) for mark in forks.marks) if self._has(SFT_LOSS) else (),
            diffusion_per_step=self._rate(),
            placebo_against_stage=self._placebo_against_stage(),
            noise_shown=noise_share(self._momentum, forks.marks[-1]),
            along={name: self._along(name) for name in forks.arms},
            trail={name: self._trail(name) for name in forks.arms},
            stage_steps=done,
            conclusions=tuple(concluded),
        )

    def _parts(self, name: str, mark: int) -> dict[str, Figure]:
        is_placebo = bool(self.stage.options.get("placebo"))
        return part_figures(self._values(name, mark), unit=UNITS[name], is_placebo=is_placebo)

    def _length(self, mark: int) -> ForkLength:
        parts = self._parts(SFT_LOSS, mark)
        return ForkLength(mark, parts["drift"], parts["diffusion"])

    def _rate(self) -> Figure:
        """Diffusion per step, where its growth with the forks' length is excluded (B8)."""
        if not self._has(SFT_LOSS):
            return Unresolved("the task has no expert responses")
        steps, momentum = self.forks.marks[-1], self._momentum
        if steps * (1.0 - momentum) < 3.0:
            return Unresolved(f"{steps} steps are fewer than 3/(1 - {momentum:g}): momentum still hides their noise")
        for shorter, longer in list(pairwise(self.forks.marks))[-1:]:
            short, long = (self._arm(STAGE, SFT_LOSS, mark) for mark in (shorter, longer))
            rate, growth = rate_figures(short, long, (shorter, longer), unit="nats/response per step")
            if isinstance(rate, Unresolved) or isinstance(growth, Unresolved):
                return rate
            if growth.upper > LARGEST_GROWTH * abs(rate.value):
                return Unresolved(f"growth from {shorter} to {longer} steps is not excluded: {growth}")
            return rate
        return Unresolved("forks were measured at one length only, so that growth with it cannot be excluded")

    @property
    def _momentum(self) -> float:
        return float(self.forks.arms[STAGE]["momentum"])

    def _values(self, name: str, mark: int) -> ForkValues:
        """With mirrored placebos the pairs' means tell their drift: what noise did to one it undid to the other."""
        arms = self.forks.arms
        placebo = PAIRS if MIRRORED in arms else PLACEBO if PLACEBO in arms else None
        start = _vector(name, self._at(0, "start"))
        free = None if placebo is None else self._arm(placebo, name, mark)
        return ForkValues(start, self._arm(STAGE, name, mark), free, self._change(name, mark))

    def _arm(self, arm: str, name: str, mark: int) -> ArmValues:
        def read(reading: str) -> PerPrompt:
            return _vector(name, self._at(mark, f"{arm}-{reading}"))

        numbers = range(self.forks.count)
        return ArmValues(
            forks=np.stack([read(f"fork-{number}") for number in numbers]),
            mean=read("mean"),
            mean_without=np.stack([read(f"mean-without-{number}") for number in numbers]),
        )

    def _change(self, name: str, mark: int) -> PerPrompt | None:
        """What the run itself did over the same steps; None where it was not looked at at both ends, or began otherwise
        than its forks (momentum)."""
        if not self.forks.is_comparable:
            return None
        ends = (self.forks.from_step, self.forks.from_step + mark)
        found = {point.step: point for point in self.own.measured(name).snapshots if point.step in ends}
        return _vector(name, found[ends[1]]) - _vector(name, found[ends[0]]) if len(found) == 2 else None

    def _has(self, name: str) -> bool:
        """Whether forks were measured on `name`; there is no SFT loss where the expert has no response."""
        has_expert = self.own.without_expert is None
        return self._at(0, "start").has(name) and (name != SFT_LOSS or has_expert)

    def _at(self, mark: int, reading: str) -> Snapshot:
        if (mark, reading) not in self._read:
            step = self.forks.from_step + mark
            point = Point(self.stage.stage, step, self.stage.task, self.forks.weights(reading))
            held = self.record.heldout[self.stage.task]
            self._read[mark, reading] = Snapshot(held, step, None, self.record.scores(point))
        return self._read[mark, reading]

    def _placebo_against_stage(self) -> dict[str, Figure]:
        """How large the placebo's updates were beside the stage's own: it bounds nothing where they differ (C9)."""
        if PLACEBO not in self.forks.arms:
            return {}
        own, placebo = (self.forks.arms[arm] for arm in (STAGE, PLACEBO))
        pairs = {
            "distance_ratio": (placebo["distances"][-1], own["distances"][-1]),
            "mean_square_gradient_ratio": (placebo["mean_square_gradients"], own["mean_square_gradients"]),
        }
        return {name: _ratio(*pair) for name, pair in pairs.items()}

    def _along(self, arm: str) -> dict[str, Figure]:
        """By what each logged quantity changed, from a fork's first quarter to its last: Student t over forks."""
        logs = self.forks.arms[arm]["logs"]
        names = [name for name in logs[0] if all(len(log.get(name, ())) >= 4 for log in logs)]
        return {name: _rise([log[name] for log in logs]) for name in names}

    def _trail(self, arm: str) -> dict[str, tuple[float, ...]]:
        """Means over the arm's forks of what its trainers logged, step by step."""
        logs = self.forks.arms[arm]["logs"]
        names = [name for name in logs[0] if len({len(log.get(name, ())) for log in logs}) == 1]
        return {name: tuple(np.mean([log[name] for log in logs], axis=0).tolist()) for name in names}


def _vector(name: str, snapshot: Snapshot) -> PerPrompt:
    return snapshot.loss if name == SFT_LOSS else snapshot.reward


def _ratio(above: Any, below: Any) -> Figure:
    """Fork by fork, since forks of one number share their prompts and seed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.asarray(above, dtype=np.float64) / np.asarray(below, dtype=np.float64)
    if not np.isfinite(ratios).all():
        return Unresolved("it cannot be had: the stage's own forks did not move, or their optimizer does not tell")
    return _over_forks(ratios)


def _rise(values: Sequence[Sequence[float]]) -> Figure:
    """The mean of the last quarter of each sequence minus that of its first."""
    quarter = max(1, min(map(len, values)) // 4)
    return _over_forks(np.array([np.mean(each[-quarter:]) - np.mean(each[:quarter]) for each in values]))


def _over_forks(values: Float[np.ndarray, "fork"]) -> Figure:
    figure = mean_interval(values, unit="", method="Student t over forks")
    return figure if isinstance(figure, Unresolved) else replace(figure, scope=OTHER_SEEDS)
