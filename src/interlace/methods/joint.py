"""Joint loss with a fixed weight: (1 - mu) L_R + mu L_S in every update.

PTX's form, L_R + gamma L_S, is mu = gamma/(1 + gamma): under Adam at the same learning rate (it forgets the scale of a
gradient), under SGD at 1 + gamma times the rate.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Plan, Weights
from interlace.methods.matched import MatchedOptions


class WeightOptions(MethodOptions):
    """Of methods with a fixed weight."""

    mu: float = Field(default=0.5, ge=0.0, le=1.0)
    """Weight of imitation; the rest is the RL loss's."""


class JointOptions(MatchedOptions, WeightOptions):
    """Of the method `joint`."""

    share: ClassVar[str] = "mu"


class Joint(Method):
    """The same weight at every step."""

    name: ClassVar[str] = "joint"
    sentence: ClassVar[str] = "both losses in every update, with a fixed weight mu"
    source: ClassVar[str] = "PTX of InstructGPT (arXiv 2203.02155), as a convex sum"
    cost: ClassVar[str] = "GRPO and an SFT step"
    takes: ClassVar[type[MethodOptions]] = JointOptions

    def __init__(self, options: WeightOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.mu = options.mu if plan.matched is None else plan.matched

    def weights(self, step: int) -> Weights:
        """1 - mu and mu."""
        return Weights(1.0 - self.mu, self.mu)
