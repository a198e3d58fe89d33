"""Looking: when to look at a policy that is being trained, with which probes, and what to raise a flag about.

The core of every callback: it knows no trainer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from interlace.callback.budget import Budget, MeteredProbe, OnFailure
from interlace.callback.clock import Clock, Meter
from interlace.callback.foreseeing import Foreseeing
from interlace.callback.rollouts import Rollouts
from interlace.callback.stopping import Stopping
from interlace.estimate import Figure
from interlace.flags import FlagWatch, SampledGroups
from interlace.flags.watch import planned_looks
from interlace.measurement import AVERAGED, RAW, Measurement, Point, PromptScores
from interlace.policies import Policy
from interlace.policies.averaging import AveragedWeights
from interlace.probes.instruments import Instruments

STEP_NEEDS = {"moment", "micro_gradients"}
"""What must be kept before a step and between its micro-batches."""
LAST_PROBES, LAST_FIXED = "probe_cpu_seconds", "fixed_cpu_seconds"
"""What a record of the overhead says of the latest look: each probe's seconds, and those beside them."""
WATCHED = "watched"
"""What a look took of the error that the stage's flags may make (`FlagWatch.looks`), in the same record."""
REMEDY = "For more, raise measure.overhead, or lower measure.prompts or measure.completions"
"""How more looks of a pipeline's stage fit into the budget."""


@dataclass
class Looking:
    """Measures a policy through a stage of training.

    `start` is the policy at the stage's start; `policy` wraps the trainer's own model; `every` counts optimizer steps
    between looks (the start and the end are always looked at); `overhead` is the largest share of the stage's CPU time
    that everything between the two may take, what is kept before a step included (None: no limit); `on_failure` takes
    the errors of probes (None: they are raised); `watch` raises flags; `stopping` asks the stage's stop rule;
    `foreseeing` forecasts the rest of an RL stage; `rollouts` gathers what an RL trainer samples; `sampled` are its
    latest figures; `remedy` says how more looks fit.
    """

    stage: str
    instruments: Instruments
    policy: Policy
    start: Policy
    every: int
    overhead: float | None = None
    averaged: AveragedWeights | None = None
    watch: FlagWatch | None = None
    stopping: Stopping | None = None
    foreseeing: Foreseeing | None = None
    on_failure: OnFailure | None = None
    rollouts: Rollouts | None = None
    remedy: str = REMEDY
    clock: Clock = field(default_factory=Clock)
    meter: Meter = field(default_factory=Meter)
    budget: Budget = field(init=False)
    probes: list[MeteredProbe] = field(init=False)
    sampled: Mapping[str, Figure] = field(default_factory=dict)
    _sampling_took: float = 0.0
    _logging_took: float = 0.0
    _plan: tuple[int, list[MeteredProbe]] = (-1, [])
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.budget = Budget(self.meter, self.overhead)
        self.probes = [MeteredProbe(probe, self.on_failure, is_new=True) for probe in self.instruments.probes]

    def begin(self) -> None:
        """Start both clocks."""
        self.clock.start(self.instruments.seconds)
        self.meter.start()

    def step_begins(self, step: int, is_last: bool, optimizer: torch.optim.Optimizer | None) -> None:
        """Before optimizer step `step`: keep what the look after it wants to know, if there will be one."""
        if self.is_due(step, is_last):
            with self.meter.counting(at_end=is_last):
                if planned := self.planned(step, is_last):
                    asking = _first_that_needs("moment", planned)
                    with _billed_to(asking):
                        self.instruments.remember(self.policy, optimizer, step, weights=asking is not None)

    def micro_batch_done(self, step: int, is_last: bool, batch_size: int) -> None:
        """Between the micro-batches of step `step`: keep what the look after it wants to know of them."""
        if self.is_due(step, is_last):
            with self.meter.counting(at_end=is_last):
                asking = _first_that_needs("micro_gradients", self.planned(step, is_last))
                if asking is not None:
                    with _billed_to(asking):
                        self.instruments.see_micro_batch(self.policy, batch_size)

    def planned(self, step: int, is_last: bool) -> list[MeteredProbe]:
        """The probes that the look after `step` will use, chosen once: before anything is kept for it."""
        if self._plan[0] != step:
            self._plan = (step, self.budget_order() if is_last else self.budget.affordable(self.probes))
        return self._plan[1]

    def step_done(self, step: int, is_last: bool) -> bool:
        """Take the new weights into the average, and look if it is time; whether anything was looked at."""
        with self.meter.counting(at_end=is_last):
            if self.averaged is not None:
                self.averaged.update(self.policy.model)
            looked = self.is_due(step, is_last) and self.look(step, None if is_last else self.planned(step, is_last))
            if self.stopping is not None and self.is_due(step, is_last):
                self._ask_rule(self.stopping, step, is_last, looked)
            if not looked:
                self._forget()
            if self.is_due(step, is_last):
                self.sampled = self._take_sampled(step, is_last, looked)
            return looked

    @property
    def is_stopped(self) -> bool:
        """Whether the stage's stop rule has ended it."""
        return self.stopping is not None and self.stopping.stopped is not None

    def is_due(self, step: int, is_last: bool) -> bool:
        """The schedule: whether a look is wished after optimizer step `step`."""
        return is_last or step % self.every == 0

    def look(self, step: int, probes: list[MeteredProbe] | None = None) -> bool:
        """Measure the raw weights and, where it is kept, their average, with `probes` (None: all); then the flags.

        False if there are no probes left to look with.
        """
        chosen = self.budget_order() if probes is None else probes
        if not chosen:
            return False
        ahead = sum(probe.ahead for probe in chosen)
        for probe in chosen:
            probe.begin_look()
        took = Meter()
        with took.counting():
            self._look(step, chosen)
            if self.watch is not None:
                self._raise_flags(self.watch, step, self._latest_scores())
        self.budget.fixed = max(0.0, took.between + ahead - sum(probe.seconds for probe in chosen))
        for probe in chosen:
            probe.is_new = probe.is_new and step == 0 and not STEP_NEEDS.isdisjoint(probe.needs)
        self.keep_overhead(step)
        self._foresee(step)
        return True

    def budget_order(self) -> list[MeteredProbe]:
        """All probes that are on, the cheapest first."""
        return sorted((probe for probe in self.probes if not probe.is_off), key=lambda probe: probe.rank)

    def keep_overhead(self, step: int) -> None:
        """Record what was spent so far, of CPU time and by this step's look of the flags' error."""
        share = self.meter.share
        known = {} if share is None else {"overhead": share}
        if self.watch is not None and step in self.watch.looks:
            known[WATCHED] = self.watch.looks[step]
        self.instruments.store.event("overhead", stage=self.stage, step=step, **self.spent(), **known)

    def spent(self) -> dict[str, Any]:
        """CPU seconds of the stage so far, and what the latest looks took: all that the budget knows."""
        last = {probe.name: probe.seconds for probe in self.probes if not probe.is_new}
        return {**self.meter.spent(), LAST_PROBES: last, LAST_FIXED: self.budget.fixed}

    def carry_on(self, spent: Mapping[str, Any]) -> None:
        """Keep the budget of the whole stage over a resume: count on from what an earlier process had `spent`."""
        self.meter.carry_on(spent)
        self.budget.fixed = spent.get(LAST_FIXED, 0.0)
        for probe in self.probes:
            probe.is_new = probe.name not in spent.get(LAST_PROBES, {})
            probe.seconds = spent.get(LAST_PROBES, {}).get(probe.name, 0.0)

    def keep_log(self, step: int, logs: Mapping[str, Any]) -> None:
        """Keep the numbers that the trainer logs, where there is room for it."""
        if not self.budget.room > self._logging_took:
            return
        began = time.process_time()
        kept = {name: value for name, value in logs.items() if isinstance(value, int | float)}
        self.instruments.store.event("training", stage=self.stage, step=step, metrics=kept)
        self._logging_took = time.process_time() - began

    def flag(self, step: int, rule: str, text: str, task: str = "") -> None:
        """Record a flag and say it, the same words once."""
        self.instruments.store.event("flag", stage=self.stage, step=step, rule=rule, task=task, text=text)
        if text not in self._said:
            self._said.add(text)
            self.instruments.observer.note(f"{self.stage}: {text}")

    def _ask_rule(self, stopping: Stopping, step: int, is_last: bool, looked: bool) -> None:
        """Show the stop rule the look, if there was one, and say if the budget leaves it too few."""
        if looked:
            names = [probe.name for probe in self.planned(step, is_last)]
            stopping.see(step, is_last, self.instruments, self.policy, self.averaged, names)
        starved = stopping.starved(planned_looks(step, self.every), is_last)
        if starved is not None and self.overhead is not None:
            self.flag(step, "stop_rule", f"{starved}. {self.remedy}")

    def _foresee(self, step: int) -> None:
        """Forecast, if it is time and the trainer's reward is known to be the task's: of another reward the paths say
        nothing. Where errors of probes are taken, one of a forecast is, and no more are made."""
        if self.foreseeing is None or self.rollouts is None or self.rollouts.mismatch is not None:
            return
        try:
            self.foreseeing.see(step)
        except Exception as error:
            if self.on_failure is None:
                raise
            self.foreseeing = None
            self.on_failure("forecast", error)

    def _forget(self) -> None:
        """What was kept for a look that is not made would be of another step at the next."""
        self.instruments.forget()
        for probe in self.probes:
            probe.ahead = 0.0

    def _look(self, step: int, probes: list[MeteredProbe]) -> None:
        self.instruments.look(self.stage, step, self.policy, self.start, probes=probes)
        if self.averaged is not None:
            averaged = self.policy.with_model(self.averaged.model)
            self.instruments.look(self.stage, step, averaged, self.start, AVERAGED, probes=probes)

    def _take_sampled(self, step: int, is_last: bool, looked: bool) -> Mapping[str, Figure]:
        """Record what was sampled since the last time, and watch it where no look has. Where there is no room for it,
        it is gathered further."""
        if self.rollouts is None or not (is_last or self.budget.room > self._sampling_took):
            return {}
        began = time.process_time()
        figures = self.rollouts.figures()
        self.instruments.introduce(self.stage, self.rollouts, figures)
        for quantity, figure in figures.items():
            self.instruments.store.measurements(
                Measurement(Point(self.stage, step, self.rollouts.task), quantity, figure)
            )
        if not looked and self.watch is not None and self.rollouts.groups is not None:
            self._raise_flags(self.watch, step, {self.rollouts.task: PromptScores()})
            self.keep_overhead(step)
        self._sampling_took = time.process_time() - began
        return figures

    def _latest_scores(self) -> dict[str, PromptScores]:
        """What each task's prompts contributed at the latest look at the raw weights."""
        latest = self.instruments.latest_scores
        return {task: scores for (task, weights), scores in latest.items() if weights == RAW}

    def _raise_flags(self, watch: FlagWatch, step: int, scores: Mapping[str, PromptScores]) -> None:
        """Show what was measured of each task, and what is sampled. A step whose look was left out takes that look's
        share of the error for what is sampled."""
        for held in (target.heldout for target in self.instruments.targets if target.task.name in scores):
            for alarm in watch.see(step, held, scores[held.task], self._groups_beside(held.task)):
                self.flag(step, alarm.rule, alarm.text, held.task)

    def _groups_beside(self, task: str) -> SampledGroups | None:
        """What the trainer samples, if it stands under this task."""
        return self.rollouts.groups if self.rollouts is not None and self.rollouts.task == task else None


def _first_that_needs(need: str, probes: Sequence[MeteredProbe]) -> MeteredProbe | None:
    return next((probe for probe in probes if need in probe.needs), None)


@contextmanager
def _billed_to(probe: MeteredProbe | None) -> Iterator[None]:
    """Count what is done inside as spent ahead on `probe`."""
    began = time.process_time()
    yield
    if probe is not None:
        probe.ahead += time.process_time() - began
