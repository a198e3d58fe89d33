"""StageCallback: the pipeline's callback for a stage of a run folder.

It looks at the raw weights and at their exponential average, keeps that average, marks checkpoints as whole, and turns
a request to stop into a saved checkpoint. It knows Transformers, not TRL.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from transformers import Trainer

from interlace.callback.counting import CountingCallback
from interlace.callback.events import TrainerEvent
from interlace.callback.gathering import listen
from interlace.callback.looking import Looking
from interlace.callback.stop import StopRequest
from interlace.callback.stopping import sighted
from interlace.encoding import dumps
from interlace.store import seal_checkpoint
from interlace.store.record import SPENT
from interlace.tasks import Task

COUNTERS, CPU = "interlace_counters.json", "cpu"


@dataclass
class StageCallback(Looking, CountingCallback):
    """Measures both objectives through a stage, and keeps with each checkpoint what a resume needs.

    `counters` add up over resumes; `save_at` divides the steps at which a checkpoint resumes exactly; `checkpoint` is
    the one that was resumed from.
    """

    stop: StopRequest = field(default_factory=StopRequest)
    save_at: int = 1
    resumed_from: int | None = None
    counters: dict[str, float] = field(default_factory=dict)
    checkpoint: Path | None = None

    def listen_to(self, trainer: Trainer, task: Task) -> None:
        """Take what an RL trainer samples into the record, from where a resumed one left off."""
        self.rollouts = listen(trainer, task, self.counted)
        if self.checkpoint is not None:
            self.rollouts.restore(self.checkpoint)

    def counted(self, where: str, read: Callable[[], None]) -> None:
        """Run what reads at a seam of the trainer as time in the callback."""
        with self.meter.counting():
            read()

    def training_begins(self, event: TrainerEvent) -> None:
        """Look at the stage's start, unless an earlier process has."""
        self.begin()
        if self.resumed_from is None:
            with self.meter.counting(at_end=True):
                self.look(0)
                self.instruments.show(self.stage, 0, self.policy, self.start)
                if self.stopping is not None:
                    self.stopping.start(self.start, self.averaged)

    def after_micro_batch(self, event: TrainerEvent) -> None:
        """Between micro-batches: keep what the look wants to know of them."""
        self.micro_batch_done(event.step + 1, event.is_before_last, event.micro_batch_size)

    def before_step(self, event: TrainerEvent) -> None:
        """Before a step after which is looked, keep what the look wants to know of it."""
        self.step_begins(event.step + 1, event.is_before_last, event.optimizer)

    def after_step(self, event: TrainerEvent) -> None:
        """Take the new weights into the average; look if it is time; save and stop if asked."""
        looked = self.step_done(event.step, event.is_complete)
        if looked:
            self.spend(event.step, int(event.state.num_input_tokens_seen))
        if looked and self.steer is not None and self.watch is not None:
            self._steer(event.step, event.is_complete)
        self.instruments.observer.step(self.stage, event.step)
        is_asked = self.stop.signal_number is not None and event.step % self.save_at == 0
        if self.is_stopped or is_asked:
            event.control.should_save = event.control.should_training_stop = True

    def spend(self, step: int, tokens: int) -> None:
        """Record what training took up to a look: what comparisons at equal compute are made at. A stage that trains
        nothing has no place in them."""
        if tokens or self.counters:
            self.instruments.store.event(SPENT, stage=self.stage, step=step, tokens=tokens, **self.counters)

    def _steer(self, step: int, is_last: bool) -> None:
        """Show the stage's method the look, and say what it says."""
        assert self.steer is not None and self.watch is not None
        start_of = self.watch.start_of
        with self.meter.counting(at_end=is_last):
            said = self.steer(lambda task, weights: sighted(task, weights, start_of, self.instruments, step, is_last))
            if said is not None:
                self.flag(step, "method", said)

    def saved(self, event: TrainerEvent) -> None:
        """Complete the checkpoint: the average, then the mark that says it is whole.

        Counted as the stage's own work: it is done for a resume, not for a look.
        """
        if self.averaged is not None:
            self.averaged.save(event.checkpoint)
        if self.rollouts is not None:
            self.rollouts.save(event.checkpoint)
        if self.stopping is not None:
            self.stopping.checkpointed()
        (event.checkpoint / COUNTERS).write_text(dumps({**self.totals(), CPU: self.spent()}))
        seal_checkpoint(event.checkpoint)

    def logged(self, event: TrainerEvent) -> None:
        """Keep what the trainer logs."""
        with self.meter.counting():
            self.keep_log(event.step, event.logs)

    def totals(self) -> dict[str, float]:
        """The counters and the wall seconds so far."""
        return {**self.counters, **self.clock.totals(self.instruments.seconds)}

    def restore(self, checkpoint: Path, step: int) -> None:
        """Take up what a checkpoint holds of ours: the average and the counters."""
        self.resumed_from, self.checkpoint = step, checkpoint
        if self.averaged is not None:
            self.averaged.load(checkpoint)
        kept = json.loads((checkpoint / COUNTERS).read_text())
        self.clock.trained_earlier = kept.pop("train_seconds")
        self.clock.looked_earlier = kept.pop("measure_seconds")
        self.carry_on(kept.pop(CPU, {}))  # a checkpoint of an older version has none
        self.counters.update(kept)
