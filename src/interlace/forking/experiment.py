"""Experiment: train every fork of a plan, measure them and their mean weights, and keep it all in the run folder."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from interlace.forking.blending import distance, paired, readings
from interlace.forking.plan import MIRRORED, PLACEBO, Arm, ForkPlan
from interlace.forking.training import Fork, Weights, train_fork, trained_weights
from interlace.measurement import Point, PromptScores
from interlace.observer import Observer
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.probes import PRESETS, PROBES, MeasuredTask, ProbeContext
from interlace.stages.base import Stage
from interlace.store import RunStore
from interlace.store.forks import fork_weights

START = "start"
"""The reading of the state that the forks begin with."""
PAIRS = "pairs"
"""The arm of each strict placebo's mean with its mirrored partner: what noise does to one it undoes to the other."""


@dataclass
class Experiment:
    """Forks of one state of a stage. `start` is the policy there, `number` counts the stage's experiments from 1,
    `is_stopped` asks whether to give up.

    What was measured becomes part of the run with the last line that is written: an experiment that is broken off
    leaves nothing in the run's folder.

    Cost: `count` times the arms times the steps of a fork; at each mark 2 x `count` + 1 looks an arm. Memory: `count`
    sets of weights a mark on the CPU, of one arm at a time; of two where there are mirrored ones.
    """

    plan: ForkPlan
    kind: Stage
    start: Policy
    store: RunStore
    observer: Observer
    targets: Sequence[MeasuredTask]
    completions: int
    number: int = 1
    is_stopped: Callable[[], bool] = lambda: False
    _beside: Policy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._beside = self.start.with_model(independent_copy(self.start.model).requires_grad_(False))

    def run(self) -> None:
        """Train, measure, and record. Raises what `train_fork` does."""
        self.plan.refuse_leaks(self.kind)
        try:
            self._record(self._arms())
        except BaseException:
            self.store.drop_scores(self.plan.request.stage, fork_weights(self.number, ""))
            raise

    def _arms(self) -> dict[str, Any]:
        origin = trained_weights(self.start)
        self._measure(0, START, origin)
        arms: dict[str, Any] = {}
        partners: list[Fork] = []
        for arm in self.plan.arms:
            forks = [self._fork(arm, number) for number in range(self.plan.count)]
            arms[arm.name] = self._measured(arm.name, forks, origin)
            if arm.name == MIRRORED:
                self._measure_arm(PAIRS, [paired(*pair) for pair in zip(partners, forks, strict=True)])
            partners = forks if self.plan.mirrored and arm.name == PLACEBO else []
        return arms

    def _record(self, arms: Mapping[str, Any]) -> None:
        plan = self.plan
        self.store.event(
            "forks",
            stage=plan.request.stage,
            number=self.number,
            from_step=plan.from_step,
            count=plan.count,
            marks=list(plan.marks),
            placebo=plan.placebo if len(plan.arms) > 1 else None,
            is_disjoint=plan.is_disjoint,
            is_comparable=plan.checkpoint is None,
            tasks=[target.task.name for target in self.targets],
            arms=arms,
        )

    def _measured(self, arm: str, forks: Sequence[Fork], origin: Weights) -> dict[str, Any]:
        """Look at an arm, and say what training showed of it."""
        self._measure_arm(arm, [fork.weights for fork in forks])
        return {
            "distances": [[distance(fork.weights[mark], origin) for fork in forks] for mark in self.plan.marks],
            "mean_square_gradients": [fork.mean_square_gradient for fork in forks],
            "momentum": forks[0].momentum,
            "logs": [fork.log for fork in forks],
        }

    def _measure_arm(self, arm: str, forks: Sequence[Mapping[int, Weights]]) -> None:
        for mark in self.plan.marks:
            for name, weights in readings([fork[mark] for fork in forks]):
                self._measure(mark, f"{arm}-{name}", weights)

    def _fork(self, arm: Arm, number: int) -> Fork:
        self.observer.note(f"{self.plan.request.stage}: {arm.name} fork {number + 1} of {self.plan.count}")
        return train_fork(self.kind, self.plan, arm, number, self.start, self.is_stopped)

    def _measure(self, mark: int, reading: str, weights: Weights) -> None:
        """SFT loss and reward of every task under `weights`, with the same random numbers at every reading."""
        _load(self._beside, weights)
        for target in self.targets:
            name = target.task.name
            point = Point(self.plan.request.stage, self.plan.from_step + mark, name, fork_weights(self.number, reading))
            seed = zlib.crc32(f"{self.plan.request.seed}/{self.plan.request.stage}/forks/{name}".encode())
            context = ProbeContext(self._beside, self.start, target, self.completions, seed)
            self.store.scores(point, _scores(context))


def _scores(context: ProbeContext) -> PromptScores:
    scores: dict[str, Any] = {}
    for probe in (PROBES[name] for name in PRESETS["light"]):
        if probe.applies(context):
            scores |= context.reading(probe).scores
    return PromptScores(**scores)


@torch.no_grad()
def _load(policy: Policy, weights: Mapping[str, torch.Tensor]) -> None:
    parameters = dict(policy.model.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)
