"""Guarded frontier: the frontier step whose exchange rate keeps a budget of held-out SFT loss.

`frontier` imitates each prompt's optimum of R - lambda L; here lambda is the multiplier of the budget, as in `guarded`:
it falls, towards the best responses alone, as long as the SFT loss is measured to stay within the budget.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from interlace.methods.base import MethodOptions
from interlace.methods.frontier import Frontier
from interlace.methods.multiplier import Budgeted, BudgetOptions


class GuardedFrontierOptions(BudgetOptions):
    """Of the method `guarded_frontier`."""

    begin: float = Field(default=0.3, gt=0.0, allow_inf_nan=False)
    """lambda before anything is measured, reward units a nat/response."""


class GuardedFrontier(Budgeted, Frontier):
    """As much reward as the budget allows, on the front."""

    name: ClassVar[str] = "guarded_frontier"
    sentence: ClassVar[str] = "the frontier step, its exchange rate following a budget of held-out SFT loss"
    source: ClassVar[str] = "interlace: D9 under the multiplier of `guarded`"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "as frontier, and the looks"
    takes: ClassVar[type[MethodOptions]] = GuardedFrontierOptions

    @property
    def exchange_rate(self) -> float:
        """lambda, reward units a nat."""
        return self.multiplier.value
