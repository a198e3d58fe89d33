"""The arguments of `interlace.plan(checkpoint, ...)`: each of its type, or one sentence about the first that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from interlace.forecasting import MODELS
from interlace.options import Options


class PlanArguments(Options):
    """How a plan is made from a checkpoint; `Session` says which values go together."""

    exchange_rate: float | None = None
    """Reward units that a nat of SFT loss is worth."""
    group_size: int = 8
    """Completions a prompt in a group."""
    kl_coefficient: float = 0.0
    """Of the KL term in RL's objective, reward units a nat."""
    base: Path | None = None
    """The model under an adapter; None: what it names."""
    prompts: int | None = None
    """Held-out prompts a task; None: all."""
    completions: int = 8
    """Sampled a prompt where rewards cannot be enumerated."""
    gradients: bool | None = None
    """D15's prices for every pair of tasks; None: with several tasks."""
    path_models: tuple[str, ...] = MODELS
    """By name."""
    learning_rate: float | None = None
    """Of the stage, with `batch`: a plan in optimizer steps too."""
    batch: int | None = None
    """Completions a step."""
    pilot_steps: int = 20
    """Steps of a pilot."""
    seed: int = Field(default=0, ge=0)
    """Draws splits and samples."""
    note: Callable[..., Any] | None = None
    """Told what is looked at next."""
