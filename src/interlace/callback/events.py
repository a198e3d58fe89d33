"""TrainerEvents: Transformers' events in the words of a look, so that every callback of ours says only what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


@dataclass(frozen=True)
class TrainerEvent:
    """Where a trainer stands when it calls: its arguments, state and control, and what else it hands over."""

    args: TrainingArguments
    state: TrainerState
    control: TrainerControl
    rest: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return int(self.state.global_step)

    @property
    def is_complete(self) -> bool:
        """Whether all steps planned are done."""
        return self.step >= self.state.max_steps

    @property
    def is_last(self) -> bool:
        """Whether no step follows: all are done, or a callback asked to stop."""
        return self.is_complete or bool(self.control.should_training_stop)

    @property
    def is_before_last(self) -> bool:
        """Whether no step follows the next one: it is the last one planned, or a callback asked to stop."""
        return self.step + 1 >= self.state.max_steps or bool(self.control.should_training_stop)

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The trainer's optimizer, where this event tells it."""
        return self.rest.get("optimizer")

    @property
    def micro_batch_size(self) -> int:
        """Rows of one micro-batch, of this process."""
        return int(self.args.per_device_train_batch_size)

    @property
    def logs(self) -> dict[str, Any]:
        """What the trainer is about to log, the trainer's own dict: what is added to it is logged too."""
        return self.rest["logs"]

    @property
    def checkpoint(self) -> Path:
        """Where a checkpoint of this step is written."""
        return Path(str(self.args.output_dir)) / f"checkpoint-{self.step}"


class TrainerEvents(TrainerCallback):
    """Hands each event on as one `TrainerEvent`; a callback overrides those that it listens to."""

    def training_begins(self, event: TrainerEvent) -> None:
        """Before the first step; of a resumed training, with the weights of its checkpoint."""

    def after_micro_batch(self, event: TrainerEvent) -> None:
        """Between the micro-batches of a step: another has added its gradient."""

    def before_step(self, event: TrainerEvent) -> None:
        """Gradients are there, weights are still the old ones."""

    def after_step(self, event: TrainerEvent) -> None:
        """Weights are new."""

    def saved(self, event: TrainerEvent) -> None:
        """A checkpoint's files are written."""

    def logged(self, event: TrainerEvent) -> None:
        """The trainer logs."""

    def training_ends(self, event: TrainerEvent) -> None:
        """After the last step; not if training ended by an error."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """Transformers' name for `training_begins`."""
        self.training_begins(TrainerEvent(args, state, control, rest))

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """Transformers' name for `after_micro_batch`."""
        self.after_micro_batch(TrainerEvent(args, state, control, rest))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """Transformers' name for `before_step`."""
        self.before_step(TrainerEvent(args, state, control, rest))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Transformers' name for `after_step`."""
        self.after_step(TrainerEvent(args, state, control, rest))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Transformers' name for `saved`."""
        self.saved(TrainerEvent(args, state, control, rest))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Transformers' name for `logged`."""
        if rest.get("logs"):
            self.logged(TrainerEvent(args, state, control, rest))

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Transformers' name for `training_ends`."""
        self.training_ends(TrainerEvent(args, state, control, rest))
