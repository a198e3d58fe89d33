"""What a stage is: options in TRL's names turned into one trainer, with the coupling callback attached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from interlace.callback import CountingCallback
from interlace.errors import RecipeError
from interlace.policies import Policy
from interlace.stages.spending import LengthsOf, Spending
from interlace.tasks.base import Task


@dataclass(frozen=True)
class StageRequest:
    """What a recipe asks of a stage, before anything is loaded.

    `options` are TRL's; `folder` is where checkpoints will go; `placebo` is a mode of C9; `bf16` says whether the
    trainer's forwards run in bfloat16; `mixed` are the tasks that SFT mixes in, each with its share of the rows;
    `method` is how a hybrid stage mixes, `imitate` the task whose expert it imitates (None: the stage's own); `how` is
    how a merge stage merges what lies in `ends`. `ends` and `matched`, the mean share of imitation of the stage that
    `method` is `like`, are known once the earlier stages are done.
    """

    stage: str
    task: Task
    options: Mapping[str, Any]
    folder: Path
    seed: int
    bf16: bool = False
    placebo: str | None = None
    mixed: tuple[tuple[Task, float], ...] = ()
    method: Mapping[str, Any] | None = None
    imitate: Task | None = None
    how: Mapping[str, Any] | None = None
    ends: tuple[str, ...] = ()
    matched: float | None = None

    @property
    def imitated(self) -> Task:
        """The task whose expert a hybrid stage imitates."""
        return self.imitate or self.task

    def rows_rng(self) -> np.random.Generator:
        """The generator that draws the stage's training rows: the same when the stage is resumed."""
        return np.random.default_rng([self.seed, *self.stage.encode()])


@runtime_checkable
class Stage(Protocol):
    """One kind of stage."""

    def configure(self, request: StageRequest) -> TrainingArguments:
        """TRL's config for the request, its `max_steps` the steps planned.

        Raises RecipeError for options that TRL or we refuse, DataError for a task that lacks what the stage trains on.
        Loads no model: everything that can be known wrong beforehand is found here.
        """
        ...

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """What it is expected to take; `lengths`: of each task."""
        ...

    def resumable_every(self, arguments: TrainingArguments) -> int:
        """A checkpoint resumes exactly at multiples of this many optimizer steps."""
        ...

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        """A trainer ready to train `policy`."""
        ...

    def reconcile(self, trainer: Trainer, request: StageRequest, policy: Policy) -> dict[str, Any] | None:
        """The trainer's own evaluation loss beside ours on the same rows; None where it has none."""
        ...


def common_options(request: StageRequest, planned: int, save_every: int = 1) -> dict[str, Any]:
    """What every trainer is told: steps, seeds, and to keep quiet. Saves fall on multiples of `save_every`."""
    on_cpu = not torch.cuda.is_available()
    quarter = max(1, planned // 4)
    return {
        "output_dir": str(request.folder),
        "max_steps": planned,
        "seed": request.seed,
        "save_strategy": "steps",
        "save_steps": -(-quarter // save_every) * save_every,
        "save_total_limit": 2,
        "logging_steps": 10,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": on_cpu,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": not on_cpu,
    }


def built(config: type[TrainingArguments], stage: str, fields: Mapping[str, Any]) -> TrainingArguments:
    """TRL's config of `fields`. Raises RecipeError with TRL's own sentence if it refuses them."""
    try:
        arguments = config(**fields)
    except (ValueError, TypeError, NotImplementedError, ImportError, ArithmeticError, AttributeError) as error:
        raise RecipeError(f"stage {stage!r} must have options that TRL accepts together. It says: {error}") from error
    if not 0.0 <= arguments.learning_rate < math.inf:
        raise RecipeError(
            f"learning_rate of stage {stage!r} must be at least 0 and finite. Got {arguments.learning_rate}. Change it."
        ).about("learning_rate")
    return arguments


def quieted(trainer: Trainer) -> Trainer:
    """The trainer without its own printing."""
    trainer.remove_callback(PrinterCallback)
    return trainer


def take_over_optimizer(trainer: Trainer, checkpoint: Path) -> None:
    """Start from the optimizer state that `checkpoint` holds, at this stage's own learning rate and weight decay."""
    optimizer = trainer.create_optimizer()
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    kept = torch.load(checkpoint / "optimizer.pt", map_location="cpu", weights_only=True)
    optimizer.load_state_dict(kept)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.pop("initial_lr", None)
        group.update(own)
