"""A fork's optimizer: the checkpoint's second moments and schedule without its momentum (B8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from interlace.errors import ModelError
from interlace.stages.base import take_over_optimizer

OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"
FIRST_MOMENTS, SECOND_MOMENT = ("exp_avg", "momentum_buffer"), "exp_avg_sq"


@dataclass(frozen=True, slots=True)
class Moments:
    """What an optimizer holds: the mean over all weights of Adam's second moment as it stands, NaN where it keeps none;
    `decay` of it, and `momentum` of the first, both per step."""

    second: float
    decay: float
    momentum: float

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer | None) -> Moments:
        """Of Adam and its kin, or of SGD with momentum."""
        inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
        if inner is None or not inner.param_groups:
            return cls(math.nan, math.nan, 0.0)
        first = inner.param_groups[0]
        momentum, decay = first.get("betas", (first.get("momentum", 0.0), math.nan))
        weights = [weight for group in inner.param_groups for weight in group["params"]]
        held = (inner.state.get(weight, {}).get(SECOND_MOMENT) for weight in weights)
        total = sum(float(values.double().sum()) for values in held if values is not None)
        size = sum(weight.numel() for weight in weights)
        return cls(total / size if not math.isnan(decay) else math.nan, float(decay), float(momentum))

    def since(self, start: Moments, steps: int) -> float:
        """The mean square of the gradients, as the optimizer was given them (clipped), of the last `steps` steps alone.

        v_h = b^h v_0 + (1 - b) sum of b^(h-i) g_i^2: the recent ones weigh most. NaN where no second moment is kept.
        """
        kept = self.decay**steps
        return (self.second - kept * start.second) / (1.0 - kept)


def refuse_unfit(checkpoint: Path) -> None:
    """Raise ModelError for a checkpoint without optimizer or schedule, or one whose learning rate has ended at 0."""
    for name in (OPTIMIZER, SCHEDULER):
        if not (checkpoint / name).exists():
            raise ModelError(
                f"{checkpoint} must hold an optimizer and its schedule to fork from. It has no {name}. "
                "Fork from the stage's start, or from a checkpoint that was saved with its optimizer."
            )
    rates = _read(checkpoint / SCHEDULER)["_last_lr"]
    if not any(rates):
        raise ModelError(
            f"{checkpoint} must have a learning rate above 0 to fork from. Its schedule has ended at 0, so that "
            "nothing would move. Fork from an earlier step."
        )


def take_over_second_moments(trainer: Trainer, checkpoint: Path) -> None:
    """The checkpoint's optimizer state with momentum set to 0, which the fork estimates anew.

    Adam's own count of steps is kept, so that nothing corrects for a momentum that begins at 0.
    """
    take_over_optimizer(trainer, checkpoint)
    assert trainer.optimizer is not None
    for state in trainer.optimizer.state.values():
        for name in FIRST_MOMENTS:
            if isinstance(state.get(name), torch.Tensor):
                state[name].zero_()


def go_on_with_schedule(optimizer: torch.optim.Optimizer, scheduler: Any, checkpoint: Path) -> None:
    """Let a trainer's schedule, and its optimizer's learning rates, go on from where a checkpoint stood in it."""
    kept = _read(checkpoint / SCHEDULER)
    scheduler.load_state_dict(kept)
    for group, rate in zip(optimizer.param_groups, kept["_last_lr"], strict=True):
        group["lr"] = rate


def _read(path: Path) -> Any:
    """Tensors and plain data alone. Raises ModelError for a file that cannot be read as such."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} must be a whole state of plain data. Reading it failed: {type(error).__name__}. Restore it."
        ) from error
