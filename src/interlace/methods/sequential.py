"""Two-stage training as one schedule: one side alone, then the other. Unlike two stages of a recipe it keeps one
optimizer and one learning-rate schedule."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from interlace.methods.base import ONLY_RL, ONLY_SFT, Method, MethodOptions, Weights


class SequentialOptions(MethodOptions):
    """Of the method `sequential`."""

    first: Literal["sft", "rl"] = "sft"
    """Which side comes first."""
    switch_at: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the steps that the first side has."""


class Sequential(Method):
    """One switch."""

    name: ClassVar[str] = "sequential"
    sentence: ClassVar[str] = "imitation alone, then RL alone (or the other way round), with one switch"
    source: ClassVar[str] = "two-stage training as a schedule: arXiv 2507.07562"
    cost: ClassVar[str] = "an SFT step or GRPO's"
    takes: ClassVar[type[MethodOptions]] = SequentialOptions

    def weights(self, step: int) -> Weights:
        """All on one side."""
        is_first = step < round(self.options.switch_at * self.plan.max_steps)
        return ONLY_SFT if is_first == (self.options.first == "sft") else ONLY_RL
