"""What a stage is: options in TRL's names turned into one TRL trainer, with the coupling callback attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from transformers import PrinterCallback, Trainer

from interlace.callback import CouplingCallback
from interlace.policies import Policy
from interlace.tasks.base import Task


@dataclass(frozen=True)
class StageJob:
    """One stage to be done: everything its trainer needs, as plain values.

    `options` are TRL's; `folder` is where checkpoints go; `optimizer_from` is a checkpoint whose optimizer state is
    taken over (None: a fresh optimizer); `placebo` is a mode of C9.
    """

    stage: str
    task: Task
    policy: Policy
    options: Mapping[str, Any]
    folder: Path
    seed: int
    placebo: str | None = None
    optimizer_from: Path | None = None


@runtime_checkable
class Stage(Protocol):
    """One kind of stage. `default_options` stand where the recipe says nothing."""

    default_options: Mapping[str, Any]

    def planned_steps(self, task: Task, options: Mapping[str, Any]) -> int:
        """Optimizer steps that the options ask for."""
        ...

    def resumable_every(self, options: Mapping[str, Any]) -> int:
        """A checkpoint resumes exactly at multiples of this many optimizer steps."""
        ...

    def trainer(self, job: StageJob, callback: CouplingCallback) -> Trainer:
        """A TRL trainer ready to train."""
        ...

    def reconcile(self, trainer: Trainer, job: StageJob) -> dict[str, Any] | None:
        """The trainer's own evaluation loss beside ours on the same rows; None where it has none."""
        ...


def common_arguments(job: StageJob, planned: int) -> dict[str, Any]:
    """What every trainer is told: steps, seeds, and to keep quiet."""
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(job.folder),
        "max_steps": planned,
        "seed": job.seed,
        "save_strategy": "steps",
        "save_steps": max(1, planned // 4),
        "save_total_limit": 2,
        "logging_steps": 10,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": on_cpu,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": not on_cpu,
    }


def in_bf16(job: StageJob) -> bool:
    """Whether forwards run in bfloat16, in training as in measurement."""
    return job.policy.autocast is torch.bfloat16


def rows_rng(job: StageJob) -> np.random.Generator:
    """The generator that draws a stage's training rows: the same when the stage is resumed."""
    return np.random.default_rng([job.seed, *job.stage.encode()])


def finished(trainer: Trainer, job: StageJob) -> Trainer:
    """The trainer without its own printing, with the optimizer state that the job takes over."""
    trainer.remove_callback(PrinterCallback)
    if job.optimizer_from is not None:
        take_over_optimizer(trainer, job.optimizer_from)
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
