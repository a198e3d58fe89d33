"""Guarded frontier: the frontier step whose exchange rate keeps a budget of held-out SFT loss.

`frontier` imitates each prompt's optimum of R - lambda L; here lambda is the multiplier of the budget, as in `guarded`:
it falls, towards the best responses alone, as long as the SFT loss is measured to stay within the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from interlace.methods.base import MethodOptions, Plan
from interlace.methods.frontier import Frontier
from interlace.methods.multiplier import BudgetOptions, Multiplier

if TYPE_CHECKING:
    from interlace.analysis.trajectory import Trajectory
    from interlace.controllers import Sight


class GuardedFrontierOptions(BudgetOptions):
    """Of the method `guarded_frontier`."""

    begin: float = Field(default=0.3, gt=0.0, allow_inf_nan=False)
    """lambda before anything is measured, reward units a nat."""


class GuardedFrontier(Frontier):
    """As much reward as the budget allows, on the front."""

    name: ClassVar[str] = "guarded_frontier"
    sentence: ClassVar[str] = "the frontier step, its exchange rate following a budget of held-out SFT loss"
    source: ClassVar[str] = "interlace: D9 under the multiplier of `guarded`"
    cost: ClassVar[str] = "as frontier, and the looks"
    takes: ClassVar[type[MethodOptions]] = GuardedFrontierOptions

    def __init__(self, options: GuardedFrontierOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.multiplier = Multiplier(options, plan.imitated)

    @property
    def exchange_rate(self) -> float:
        """lambda, reward units a nat."""
        return self.multiplier.value

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
