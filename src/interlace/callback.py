"""CouplingCallback: in any Transformers trainer, schedule -> probes -> recorder, within an overhead budget.

It looks at the raw weights and at their exponential average, keeps that average, marks checkpoints as whole, and turns
a request to stop into a saved checkpoint. It knows Transformers, not TRL.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interlace.encoding import dumps
from interlace.measurement import AVERAGED
from interlace.policies import Policy
from interlace.policies.averaging import AveragedWeights
from interlace.probes.instruments import Instruments
from interlace.store import seal_checkpoint

COUNTERS = "interlace_counters.json"


@dataclass
class StopRequest:
    """Set by a signal; the callback saves and stops at the next step where a checkpoint can be resumed exactly."""

    signal_number: int | None = None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Catch the first Ctrl-C or SIGTERM; a second one stops at once, as if nobody listened."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in numbers}

        def catch(number: int, frame: FrameType | None) -> None:
            self.signal_number = number
            for each in numbers:
                signal.signal(each, before[each])

        try:
            for number in numbers:
                signal.signal(number, catch)
            yield self
        finally:
            for number in numbers:
                signal.signal(number, before[number])


@dataclass
class Clock:
    """Wall seconds of training and of looking since the stage's start, earlier processes included."""

    began: float | None = None
    looked_before: float = 0.0
    trained_earlier: float = 0.0
    looked_earlier: float = 0.0

    def start(self, looked: float) -> None:
        """Begin to count; `looked` are the seconds that the instruments have taken so far."""
        self.began, self.looked_before = time.perf_counter(), looked

    def looking(self, looked: float) -> float:
        """Seconds of looking in this process."""
        return looked - self.looked_before

    def training(self, looked: float) -> float:
        """Seconds of training in this process; none if it only measured a stage's end."""
        return 0.0 if self.began is None else time.perf_counter() - self.began - self.looking(looked)

    def totals(self, looked: float) -> dict[str, float]:
        """Both, earlier processes included."""
        return {
            "train_seconds": self.trained_earlier + self.training(looked),
            "measure_seconds": self.looked_earlier + self.looking(looked),
        }


@dataclass
class CouplingCallback(TrainerCallback):
    """Measures both objectives through a stage.

    `start` is the policy at the stage's start; `policy` wraps the trainer's own model; `every` counts optimizer steps
    between looks (the start and the end are always looked at); `overhead` is the largest share of the stage's time that
    looks between them may take (None: no limit); `counters` add up over resumes; `save_at` divides the steps at which a
    checkpoint resumes exactly.
    """

    stage: str
    instruments: Instruments
    policy: Policy
    start: Policy
    every: int
    overhead: float | None = None
    averaged: AveragedWeights | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    save_at: int = 1
    resumed_from: int | None = None
    num_thinned: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    _clock: Clock = field(default_factory=Clock)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at the stage's start, unless an earlier process has."""
        self._clock.start(self.instruments.seconds)
        if self.resumed_from is None:
            self.look(0)
            self.instruments.show(self.stage, 0, self.policy, self.start)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take the new weights into the average; look if it is time; save and stop if asked."""
        step = state.global_step
        if self.averaged is not None:
            self.averaged.update(self.policy.model)
        if step >= state.max_steps or (step % self.every == 0 and self._affordable()):
            self.look(step)
        self.instruments.observer.step(self.stage, step)
        if self.stop.signal_number is not None and step % self.save_at == 0:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Complete the checkpoint: the average, then the mark that says it is whole."""
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        if self.averaged is not None:
            self.averaged.save(folder)
        (folder / COUNTERS).write_text(dumps(self.spent()))
        seal_checkpoint(folder)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Keep what the trainer logs."""
        if logs:
            kept = {name: value for name, value in logs.items() if isinstance(value, int | float)}
            self.instruments.store.event("training", stage=self.stage, step=state.global_step, metrics=kept)

    def spent(self) -> dict[str, float]:
        """The counters and the seconds so far."""
        return {**self.counters, **self._clock.totals(self.instruments.seconds)}

    def restore(self, checkpoint: Path, step: int) -> None:
        """Take up what a checkpoint holds of ours: the average and the counters."""
        self.resumed_from = step
        if self.averaged is not None:
            self.averaged.load(checkpoint)
        kept = json.loads((checkpoint / COUNTERS).read_text())
        self._clock.trained_earlier = kept.pop("train_seconds")
        self._clock.looked_earlier = kept.pop("measure_seconds")
        self.counters.update(kept)

    def look(self, step: int) -> None:
        """Measure the raw weights and, where it is kept, their average."""
        self.instruments.look(self.stage, step, self.policy, self.start)
        if self.averaged is not None:
            averaged = self.policy.with_model(self.averaged.model)
            self.instruments.look(self.stage, step, averaged, self.start, AVERAGED)

    def _affordable(self) -> bool:
        """Whether looks have kept below the allowed share of the stage's time."""
        if self.overhead is None:
            return True
        looked = self.instruments.seconds
        if self._clock.looking(looked) <= self.overhead * self._clock.training(looked):
            return True
        self.num_thinned += 1
        return False
