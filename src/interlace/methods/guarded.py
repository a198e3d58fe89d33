"""Guarded RL: as much reward as a budget of held-out SFT loss allows.

maximise R subject to L_S <= L_S(start) + budget. The multiplier lambda of the constraint (`multiplier`) weighs the
losses, 1/(1 + lambda) and lambda/(1 + lambda), and follows what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from interlace.methods.base import Method, MethodOptions, Plan, Weights
from interlace.methods.multiplier import BudgetOptions, Multiplier

if TYPE_CHECKING:
    from interlace.analysis.trajectory import Trajectory
    from interlace.controllers import Sight


class Guarded(Method):
    """A Lagrangian on the budget, with the interval in the loop."""

    name: ClassVar[str] = "guarded"
    sentence: ClassVar[str] = "most reward within a budget of held-out SFT loss; its multiplier follows the looks"
    source: ClassVar[str] = "interlace: PI-controlled Lagrangian on the upper end of the measured change"
    cost: ClassVar[str] = "GRPO, an SFT step and the looks"
    takes: ClassVar[type[MethodOptions]] = BudgetOptions

    def __init__(self, options: BudgetOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.multiplier = Multiplier(options, plan.imitated)

    def weights(self, step: int) -> Weights:
        """1/(1 + lambda) and lambda/(1 + lambda)."""
        mu = self.multiplier.value / (1.0 + self.multiplier.value)
        return Weights(1.0 - mu, mu)

    def see(self, sight: Sight) -> str | None:
        """Turn lambda by what was measured."""
        return self.multiplier.see(sight)

    def conclude(self, seen: Callable[[str, str], Trajectory]) -> str:
        """Whether the budget was kept."""
        return self.multiplier.conclude(seen)

    @property
    def state(self) -> dict[str, Any]:
        """Of the multiplier."""
        return self.multiplier.state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with it."""
        self.multiplier.restore(state)
