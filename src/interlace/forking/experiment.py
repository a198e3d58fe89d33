"""Experiment: train every fork of a plan, measure them and their mean weights, and keep it all in the run folder."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from interlace.callback import StopRequest
from interlace.errors import Interrupted
from interlace.forking.blending import MeanWeights, distance, reading_names, readings
from interlace.forking.cost import ForkCost
from interlace.forking.plan import MIRRORED, PLACEBO, Arm, ForkPlan
from interlace.forking.scratch import ForkLog, Scratch, Weights
from interlace.forking.training import train_fork, trained_weights
from interlace.measurement import Point, PromptScores
from interlace.observer import Observer
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.probes import PRESETS, PROBES, MeasuredTask, ProbeContext
from interlace.stages.base import Stage
from interlace.store import RunStore, StageRecord
from interlace.store.forks import fork_weights

START = "start"
"""The reading of the state that the forks begin with."""
PAIRS = "pairs"
"""The arm of each strict placebo's mean with its mirrored partner: what noise does to one it undoes to the other."""
UNFINISHED = "unfinished-forks"


@dataclass
class Experiment:
    """Forks of one state of a stage, of which `record` is what it did itself. `start` is the policy there.

    Every fork that is done, and every reading, is kept in `scratch` at once: after a kill the same experiment goes on
    where it was. It becomes part of the run with the last line that is written, and the scratch is removed.

    Cost: `count` times the arms times the steps of a fork; at each mark 2 x `count` + 1 looks an arm. Memory: see
    `cost`; weights of forks lie on the disk and are read one tensor at a time.
    """

    plan: ForkPlan
    kind: Stage
    start: Policy
    store: RunStore
    observer: Observer
    targets: Sequence[MeasuredTask]
    completions: int
    record: StageRecord
    stop: StopRequest = field(default_factory=StopRequest)

    @property
    def scratch(self) -> Scratch:
        """Where this experiment, and no other of the run, is kept until it is done."""
        identity = zlib.crc32(repr((self.plan.identity, self.completions)).encode())
        return Scratch(self.store.stage_folder(self.plan.request.stage) / UNFINISHED / f"{identity:08x}")

    @property
    def cost(self) -> ForkCost:
        """What is left to do of it, and what that will take."""
        looks = sum(bool(self._missing(mark, reading)) for mark, reading in self._readings())
        kept = self.scratch.weight_bytes
        return ForkCost.of(self.plan, self.record, self.start.model, self._num_done(), looks, kept)

    def run(self) -> None:
        """Train, measure, and record. Raises what `train_fork` does, and Interrupted if `stop` asks for it."""
        self.plan.refuse_leaks(self.kind)
        stage, steps = self._bar, self.plan.steps
        self.observer.stage_started(stage, stage, "forks", self._num_forks * steps, self._num_done() * steps)
        self._record(self._arms())
        self.scratch.remove()
        self.observer.stage_finished(stage)

    def _arms(self) -> dict[str, Any]:
        beside = self.start.with_model(independent_copy(self.start.model).requires_grad_(False))
        origin = trained_weights(self.start)
        self._measure(beside, 0, START, origin)
        return {arm.name: self._arm(arm, origin, beside) for arm in self.plan.arms}

    def _arm(self, arm: Arm, origin: Weights, beside: Policy) -> dict[str, Any]:
        """What training showed of an arm, whose forks are then trained and measured and their weights dropped."""
        told = self.scratch.arm(arm.name)
        if told is None:
            logs = [self._fork(arm, number) for number in range(self.plan.count)]
            self._measure_arm(arm.name, beside)
            if arm.name == MIRRORED:
                self._measure_arm(PAIRS, beside)
            told = self._told(arm.name, logs, origin)
            self.scratch.keep_arm(arm.name, told)
        for spent in self.plan.spent_after(arm):
            self.scratch.drop_weights(spent)
        return told

    def _told(self, arm: str, logs: Sequence[ForkLog], origin: Weights) -> dict[str, Any]:
        return {
            "distances": [[distance(weights, origin) for weights in self._weights(arm, m)] for m in self.plan.marks],
            "mean_square_gradients": [fork.mean_square_gradient for fork in logs],
            "momentum": logs[0].momentum,
            "logs": [fork.log for fork in logs],
        }

    def _weights(self, arm: str, mark: int) -> list[Weights]:
        """Each fork's weights at a mark; of the pairs, each two partners' mean."""
        if arm == PAIRS:
            partners = zip(self._weights(PLACEBO, mark), self._weights(MIRRORED, mark), strict=True)
            return [MeanWeights(pair) for pair in partners]
        return [self.scratch.weights(arm, number, mark) for number in range(self.plan.count)]

    def _measure_arm(self, arm: str, beside: Policy) -> None:
        for mark in self.plan.marks:
            for name, weights in readings(self._weights(arm, mark)):
                self._measure(beside, mark, f"{arm}-{name}", weights)

    def _fork(self, arm: Arm, number: int) -> ForkLog:
        """Train it, unless it is kept."""
        scratch, done = self.scratch, self._num_done() * self.plan.steps
        log = scratch.fork(arm.name, number)
        if log is None:
            self._refuse_if_stopped()
            self.observer.note(f"{self.plan.request.stage}: {arm.name} fork {number + 1} of {self.plan.count}")
            keep = partial(scratch.keep_weights, arm.name, number)
            log = train_fork(self.kind, self.plan, arm, number, self.start, keep, partial(self._goes_on, done))
            if log is None:
                raise self._interruption()
            scratch.keep_fork(arm.name, number, log)
        return log

    def _goes_on(self, done: int, step: int) -> bool:
        self.observer.step(self._bar, done + step)
        return self.stop.signal_number is None

    def _measure(self, beside: Policy, mark: int, reading: str, weights: Weights) -> None:
        """SFT loss and reward of every task under `weights`, with the same random numbers at every reading."""
        missing = self._missing(mark, reading)
        if not missing:
            return
        self._refuse_if_stopped()
        _load(beside, weights)
        for target in missing:
            name = target.task.name
            seed = zlib.crc32(f"{self.plan.request.seed}/{self.plan.request.stage}/forks/{name}".encode())
            context = ProbeContext(beside, self.start, target, self.completions, seed)
            self.scratch.keep_scores(self._kept_at(mark, reading, target), _scores(context))

    def _missing(self, mark: int, reading: str) -> list[MeasuredTask]:
        """The tasks whose scores at a reading are not kept yet."""
        scratch = self.scratch
        return [target for target in self.targets if not scratch.has_scores(self._kept_at(mark, reading, target))]

    def _kept_at(self, mark: int, reading: str, target: MeasuredTask) -> Point:
        return Point(self.plan.request.stage, self.plan.from_step + mark, target.task.name, reading)

    def _readings(self) -> Iterator[tuple[int, str]]:
        """Every mark and reading of the experiment."""
        yield 0, START
        arms = [arm.name for arm in self.plan.arms] + ([PAIRS] if self.plan.mirrored else [])
        for mark in self.plan.marks:
            yield from ((mark, f"{arm}-{name}") for arm in arms for name in reading_names(self.plan.count))

    def _record(self, arms: Mapping[str, Any]) -> None:
        """Hand all readings over to the run; the experiment is part of it with the last line."""
        plan, number = self.plan, len(self.record.forks) + 1
        for mark, reading in self._readings():
            for target in self.targets:
                kept = self._kept_at(mark, reading, target)
                point = Point(kept.stage, kept.step, kept.task, fork_weights(number, reading))
                self.store.scores(point, self.scratch.scores(kept))
        self.store.event(
            "forks",
            stage=plan.request.stage,
            number=number,
            from_step=plan.from_step,
            count=plan.count,
            marks=list(plan.marks),
            placebo=plan.placebo if len(plan.arms) > 1 else None,
            is_disjoint=plan.is_disjoint,
            is_comparable=plan.checkpoint is None,
            tasks=[target.task.name for target in self.targets],
            arms=arms,
        )

    @property
    def _bar(self) -> str:
        return f"forks of {self.plan.request.stage}"

    @property
    def _num_forks(self) -> int:
        return self.plan.count * len(self.plan.arms)

    def _num_done(self) -> int:
        """Forks that are done, in this process or an earlier one."""
        scratch, numbers = self.scratch, range(self.plan.count)
        arms = [arm.name for arm in self.plan.arms]
        return sum(
            self.plan.count if scratch.arm(arm) else sum(scratch.fork(arm, number) is not None for number in numbers)
            for arm in arms
        )

    def _refuse_if_stopped(self) -> None:
        if self.stop.signal_number is not None:
            raise self._interruption()

    def _interruption(self) -> Interrupted:
        return Interrupted(
            f"stopped in the forks of {self.plan.request.stage}: {self._num_done()} of {self._num_forks} are done and "
            f"kept, and the run is as it was. Give the same command again to go on, or delete {self.scratch.folder} "
            "to give up.",
            exit_code=128 + (self.stop.signal_number or 2),
        )


def _scores(context: ProbeContext) -> PromptScores:
    scores: dict[str, Any] = {}
    for probe in (PROBES[name] for name in PRESETS["light"]):
        if probe.applies(context):
            scores |= context.reading(probe).scores
    return PromptScores(**scores)


@torch.no_grad()
def _load(policy: Policy, weights: Weights) -> None:
    parameters = dict(policy.model.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)
