"""Guarded RL: as much reward as a budget of held-out SFT loss allows.

maximise R subject to L_S <= L_S(start) + budget. The multiplier lambda of the constraint (`multiplier`) weighs the
losses, 1/(1 + lambda) and lambda/(1 + lambda), and follows what is measured.
"""

from __future__ import annotations

from typing import ClassVar

from interlace.methods.base import MethodOptions, Weights
from interlace.methods.multiplier import Budgeted, BudgetOptions


class Guarded(Budgeted):
    """A Lagrangian on the budget, with the interval in the loop."""

    name: ClassVar[str] = "guarded"
    sentence: ClassVar[str] = "most reward within a budget of held-out SFT loss; its multiplier follows the looks"
    source: ClassVar[str] = "interlace: PI-controlled Lagrangian on the upper end of the measured change"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "GRPO, an SFT step and the looks"
    takes: ClassVar[type[MethodOptions]] = BudgetOptions

    def weights(self, step: int) -> Weights:
        """1/(1 + lambda) and lambda/(1 + lambda)."""
        mu = self.multiplier.value / (1.0 + self.multiplier.value)
        return Weights(1.0 - mu, mu)
