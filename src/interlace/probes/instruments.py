"""Instruments: the probes of a run, pointed at every measured task, writing what they find to the run folder."""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch

from interlace.estimate import Figure
from interlace.measurement import LINE, RAW, Measurement, Point, PromptScores
from interlace.observer import Observer
from interlace.policies import Policy, decode_completion
from interlace.policies.randomness import untouched_randomness
from interlace.probes.base import Probe, Reading
from interlace.probes.context import Look, ProbeContext
from interlace.probes.determinism import refuse_random
from interlace.probes.micro_gradients import MicroGradients
from interlace.probes.moment import Moment, keep_weights
from interlace.probes.target import MeasuredTask
from interlace.store import RunStore
from interlace.store.run_store import SAMPLES
from interlace.store.scores import read_scores

NUM_SAMPLES_SHOWN = 6


@runtime_checkable
class Introduced(Protocol):
    """What a reader of a run is told of an instrument."""

    name: str
    sentence: str
    source: str
    cost: Any


@dataclass
class Instruments:
    """Looks at policies and records; every look leaves the global random state as it was, whatever a reward draws.

    `seconds` adds up the wall time that looking took; `latest` and `latest_scores`
    hold the figures and the prompts' contributions of the last look at each (task, weights); `moment` is what the
    trainer knows at the look that comes next; `expert` an expert-SFT policy, if one was named."""

    store: RunStore
    observer: Observer
    targets: Sequence[MeasuredTask]
    probes: Sequence[Probe]
    completions_per_prompt: int
    seed: int
    seconds: float = 0.0
    moment: Moment | None = None
    expert: Policy | None = None
    latest: dict[tuple[str, str], Mapping[str, Figure]] = field(default_factory=dict)
    latest_scores: dict[tuple[str, str], PromptScores] = field(default_factory=dict)
    _micro: MicroGradients = field(default_factory=MicroGradients)
    _starts: dict[Point, PromptScores] = field(default_factory=dict)
    _introduced: dict[str, set[str]] = field(default_factory=dict)
    _is_steady: bool = False

    @untouched_randomness()
    def look(
        self,
        stage: str,
        step: int,
        policy: Policy,
        start: Policy,
        weights: str = RAW,
        probes: Sequence[Probe] | None = None,
    ) -> None:
        """Measure every task under `policy` with `probes` (None: all), and record it at this step of the stage.

        Raises ModelError at the first look if the policy is random in evaluation mode.
        """
        self._refuse_random(policy)
        points = [Point(stage, step, target.task.name, weights) for target in self.targets]
        self._look(points, policy, start, self.probes if probes is None else probes)
        self.moment = None

    def remember(
        self, policy: Policy, optimizer: torch.optim.Optimizer | None, step: int, *, weights: bool = True
    ) -> None:
        """Before optimizer step `step`, after which is looked: keep what the look will want to know of it.

        `weights`: the weights too, one copy in memory until the look or `forget`.
        """
        previous = keep_weights(policy.model) if weights else None
        self.moment = Moment(previous, optimizer, self._micro.taken(), self._micro.batch_size, step)

    def see_micro_batch(self, policy: Policy, batch_size: int) -> None:
        """Between the micro-batches of such a step: read what the last one added to the gradient."""
        self._micro.see(policy.model, batch_size)

    def forget(self) -> None:
        """Let go of what was kept for a look that is not made."""
        self.moment = None
        self._micro.taken()

    def introduce(self, stage: str, instrument: Introduced, quantities: Collection[str]) -> None:
        """Record once in a stage what an instrument is and which quantities it reads, for whoever reads the run."""
        known = self._introduced.setdefault(f"{stage}/{instrument.name}", set())
        if new := [quantity for quantity in quantities if quantity not in known]:
            known.update(new)
            words = {key: getattr(instrument, key) for key in ("sentence", "source", "cost")}
            self.store.event("instrument", stage=stage, name=instrument.name, **words, quantities=new)

    @untouched_randomness()
    def look_on_line(
        self, stage: str, step: int, policy: Policy, start: Policy, position: float, probes: Sequence[Probe]
    ) -> None:
        """Measure every task at a place on the straight line from the stage's start to its end, with `probes` alone."""
        points = [Point(stage, step, target.task.name, LINE, position) for target in self.targets]
        self._look(points, policy, start, probes)

    @untouched_randomness()
    def show(self, stage: str, step: int, policy: Policy, start: Policy) -> None:
        """Record one sampled completion for each of a few held-out prompts, the same ones all through the run."""
        began = time.perf_counter()
        for target in self.targets:
            few = target.first(NUM_SAMPLES_SHOWN)
            context = ProbeContext(policy, start, few, 1, self._seed_at(Point(stage, step, target.task.name)))
            for index, sample in enumerate(_samples(context)):
                self.store.event("sample", stage=stage, step=step, task=target.task.name, index=index, **sample)
        self.seconds += time.perf_counter() - began

    def _look(self, points: Sequence[Point], policy: Policy, start: Policy, probes: Sequence[Probe]) -> None:
        """One look at all tasks, which share what spans them. A moment of another step tells nothing of this one."""
        look = Look()
        moment = self.moment if self.moment is not None and self.moment.is_of(points[0].step) else None
        for point, target in zip(points, self.targets, strict=True):
            ProbeContext(
                policy,
                start,
                target,
                self.completions_per_prompt,
                self._seed_at(point),
                moment=moment,
                at_start=point.step == 0,
                start_scores=self._start_scores(point),
                expert=self.expert,
                look=look,
            )
        for point, context in zip(points, look.contexts, strict=True):
            self._record(point, context, probes)

    def _refuse_random(self, policy: Policy) -> None:
        if not self._is_steady:
            began = time.perf_counter()
            refuse_random(policy, self.targets[0])
            self._is_steady, self.seconds = True, self.seconds + time.perf_counter() - began

    def _record(self, point: Point, context: ProbeContext, probes: Sequence[Probe]) -> None:
        began = time.perf_counter()
        figures: dict[str, Figure] = {}
        scores: dict[str, Any] = {}
        for probe in probes:
            if probe.applies(context):
                reading = _reading(context, probe)
                figures |= reading.figures
                scores |= reading.scores
                self.introduce(point.stage, probe, reading.figures)
        contributed = PromptScores(**scores)
        self.store.scores(point, contributed)
        self.store.measurements(*(Measurement(point, quantity, figure) for quantity, figure in figures.items()))
        self.latest[point.task, point.weights] = figures
        self.latest_scores[point.task, point.weights] = contributed
        self.observer.measured(point, figures)
        self.seconds += time.perf_counter() - began

    def _start_scores(self, point: Point) -> PromptScores | None:
        """What was recorded of the stage's start, in this process or an earlier one."""
        start = Point(point.stage, 0, point.task)
        if point.step and start not in self._starts:
            try:
                self._starts[start] = read_scores(self.store.folder / SAMPLES, start)
            except KeyError:
                return None
        return self._starts.get(start) if point.step else None

    def _seed_at(self, point: Point) -> int:
        """A seed of its own for every point, the same whenever the run is repeated."""
        return zlib.crc32(f"{self.seed}/{point.stage}/{point.step}/{point.task}".encode())


def _reading(context: ProbeContext, probe: Probe) -> Reading:
    """What the probe finds; one that takes gradients is refused, under its own name, where they do not fit."""
    refusal = context.look.memory_refusal if probe.cost in ("backward", "curvature") else None
    return context.reading(probe) if refusal is None else Reading({probe.name: refusal})


def _samples(context: ProbeContext) -> list[Mapping[str, Any]]:
    has_reward = context.target.task.reward is not None
    rewards = context.sampled_rewards[:, 0] if has_reward else [None] * len(context.target.examples)
    return [
        {
            "prompt": example.prompt,
            "completion": decode_completion(context.policy, group[0]),
            "reward": None if reward is None else float(reward),
            "expert": example.responses[0].text if example.responses else None,
        }
        for example, group, reward in zip(context.target.examples, context.completions, rewards, strict=True)
    ]
