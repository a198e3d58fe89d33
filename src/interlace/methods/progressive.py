"""Progressive: the weight of imitation moves slowly from one value to another along a straight line.

The paper moves the share of examples that are imitated; here the weight of the two losses moves.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Weights


class ProgressiveOptions(MethodOptions):
    """Of the method `progressive`."""

    begin: float = Field(default=1.0, ge=0.0, le=1.0)
    """mu at the first step."""
    end: float = Field(default=0.0, ge=0.0, le=1.0)
    """mu at the last step."""


class Progressive(Method):
    """mu on a line."""

    name: ClassVar[str] = "progressive"
    sentence: ClassVar[str] = "the weight of imitation falls along a line, from 1 to 0"
    source: ClassVar[str] = "progressive training of arXiv 2507.07562, by weight in place of examples"
    cost: ClassVar[str] = "GRPO and an SFT step"
    takes: ClassVar[type[MethodOptions]] = ProgressiveOptions

    def weights(self, step: int) -> Weights:
        """1 - mu and mu."""
        share = step / max(1, self.plan.max_steps - 1)
        mu = (1.0 - share) * self.options.begin + share * self.options.end
        return Weights(1.0 - mu, mu)
