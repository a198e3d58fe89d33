"""A checkpoint's objectives over all tasks, the Pareto set of several, and a recommendation among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot

BUDGET, EXCHANGE_RATE, NO_WORSE = "budget", "exchange_rate", "no_worse"
"""The rules by which a checkpoint is recommended."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The checkpoint to keep, by which rule, and why."""

    checkpoint: str
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.checkpoint}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"checkpoint": self.checkpoint, "rule": self.rule, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Profile:
    """A checkpoint's snapshots by task; `kind` is a word for what it is, where the name alone does not say."""

    name: str
    tasks: Mapping[str, Snapshot]
    kind: str = ""

    @property
    def called(self) -> str:
        """The name in a sentence: of a position on a line, with that word."""
        return f"{self.kind} {self.name}".strip()

    @property
    def losses(self) -> dict[str, float]:
        """SFT loss of each task that has an expert, nats/response."""
        return {task: float(item.loss.mean()) for task, item in self.tasks.items() if item.has(SFT_LOSS)}

    @property
    def rewards(self) -> dict[str, float]:
        """Reward of each task that has one, reward units."""
        return {task: float(item.reward.mean()) for task, item in self.tasks.items() if item.has(REWARD)}

    @property
    def loss(self) -> float:
        """Mean SFT loss over tasks, nats/response; NaN where no task has an expert."""
        return float(np.mean(list(self.losses.values()))) if self.losses else math.nan

    @property
    def reward(self) -> float:
        """Mean reward over tasks; NaN where no task has one."""
        return float(np.mean(list(self.rewards.values()))) if self.rewards else math.nan

    @property
    def gains(self) -> tuple[float, ...]:
        """Every objective, more is better; what is not finite is the worst."""
        return tuple(
            value if math.isfinite(value) else -math.inf
            for value in (*(-loss for loss in self.losses.values()), *self.rewards.values())
        )


def pareto(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """The names that no other beats in one objective and equals or beats in all, by the measured means, in order."""
    gains = {name: profile.gains for name, profile in profiles.items()}
    return tuple(name for name, own in gains.items() if not any(_dominates(other, own) for other in gains.values()))


def _dominates(other: tuple[float, ...], own: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(other, own, strict=True)) and other != own
