"""A fork's optimizer: the checkpoint's second moments without its momentum (B8)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from transformers import Trainer

from interlace.errors import ModelError
from interlace.stages.base import take_over_optimizer

OPTIMIZER = "optimizer.pt"
FIRST_MOMENT, SECOND_MOMENT = "exp_avg", "exp_avg_sq"


def learning_rate_at(checkpoint: Path) -> float:
    """The learning rate of the step after a checkpoint. Raises ModelError if the checkpoint keeps no optimizer."""
    path = checkpoint / OPTIMIZER
    if not path.exists():
        raise ModelError(
            f"{checkpoint} must hold an optimizer's state to fork from. It has no {OPTIMIZER}. "
            "Fork from the stage's start, or from a checkpoint that was saved with its optimizer."
        )
    kept = torch.load(path, map_location="cpu", weights_only=True)
    return float(kept["param_groups"][0]["lr"])


def take_over_second_moments(trainer: Trainer, checkpoint: Path) -> None:
    """The checkpoint's optimizer state with its momentum set to 0: the fork estimates it anew."""
    take_over_optimizer(trainer, checkpoint)
    assert trainer.optimizer is not None
    for state in trainer.optimizer.state.values():
        if FIRST_MOMENT in state:
            state[FIRST_MOMENT].zero_()


def mean_second_moment(optimizer: torch.optim.Optimizer | None) -> float:
    """Mean over all weights of Adam's bias-corrected second moment; NaN where the optimizer keeps none."""
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    total, count = 0.0, 0
    if inner is None:
        return math.nan
    for group in inner.param_groups:
        for weight in group["params"]:
            state = inner.state.get(weight, {})
            if SECOND_MOMENT in state:
                corrected = 1.0 - group["betas"][1] ** float(state["step"])
                total += float(state[SECOND_MOMENT].double().sum()) / corrected
                count += weight.numel()
    return total / count if count else math.nan
