"""The multiplier of a budget of held-out SFT loss: a PI controller on what is measured, with the interval in the loop.

log lambda has a proportional and an integral part in (upper end of the change of L_S - budget)/scale, so that a rise
that is not ruled out counts as one. What is guarded is the average of the weights where the stage keeps one: it is what
such a stage is for. Every second held-out prompt steers; on the others one can see without bias whether the budget was
kept. Nothing is decided between looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from interlace.analysis.halves import CHOOSING
from interlace.analysis.kept_rises import rise_between
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, RAW
from interlace.methods.base import Method, MethodOptions, Plan
from interlace.methods.kept_budget import budget_sentence

if TYPE_CHECKING:
    from interlace.analysis.trajectory import Trajectory
    from interlace.controllers import Sight

LEAST, MOST = math.log(1 / 32), math.log(32)
"""Bounds of log lambda: an integral does not wind up beyond them."""
STEEPEST = 2.0
"""The most that one look counts, in units of the scale: one wild look does not end all RL."""
PROPORTIONAL = {AVERAGED: 1.0, RAW: 0.1}
"""Gains by whose looks are guarded. An average follows mu late and smoothly, and bears a large one; raw weights answer
within a look, by more than was asked, and with a larger one swing about the budget. Tried on seed 0 of
shootout-addition."""
SPACING = 10
"""Steps between looks up to which an average bears its gain. With more of them it has answered more before the next
look, as raw weights do, and bears less, down to theirs: looks 40 steps apart at a gain of 1 swung ever wider about the
budget on seeds 0 and 13 of shootout-addition."""


class BudgetOptions(MethodOptions):
    """Of every method that keeps a budget of SFT loss."""

    budget: float = Field(default=0.02, ge=0.0, allow_inf_nan=False)
    """How far the held-out SFT loss may rise above the stage's start, nats/token."""
    scale: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """The excess at which the controller turns by its gains, nats/token; null: the budget, at least .01."""
    proportional: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Gain of the latest look's excess on log lambda; null: .1 for raw weights, for averaged ones 1 where looks are at
    most 10 steps apart, and less the further apart they are."""
    integral: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    """Gain of each look's excess on log lambda, added up."""
    begin: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    """lambda, the weight of imitation over that of RL, before anything is measured."""
    weights: Literal["raw", "averaged"] | None = None
    """Whose looks are guarded: the trained weights', or those of the average that the stage keeps; null: the average's
    if it keeps one."""


class Multiplier:
    """lambda, from the looks at the `imitated` task that it has seen."""

    def __init__(self, options: BudgetOptions, imitated: str) -> None:
        self.options, self.imitated = options, imitated
        self.integral, self.proportional, self.step = math.log(options.begin), 0.0, 0

    @property
    def value(self) -> float:
        """lambda, within [1/32, 32]."""
        return math.exp(min(MOST, max(LEAST, self.integral + self.proportional)))

    def see(self, sight: Sight) -> str | None:
        """Turn by the excess of the change's upper end over the budget; a sentence where it cannot be read."""
        weights = self.options.weights or AVERAGED
        sighting = sight(self.imitated, weights)
        if sighting is None and self.options.weights is None:
            weights, sighting = RAW, sight(self.imitated, RAW)
        if sighting is None:
            return None
        change = rise_between(sighting.start, sighting.now, CHOOSING)
        if not isinstance(change, Estimate):
            return f"guarded training could not read the change of SFT loss: {change.reason}"
        scale = self.options.scale or max(self.options.budget, 0.01)
        excess = max(-STEEPEST, min(STEEPEST, (change.upper - self.options.budget) / scale))
        self.proportional = self._gain(weights, sighting.step - self.step) * excess
        self.step = sighting.step
        self.integral = max(LEAST, min(MOST, self.integral + self.options.integral * excess))
        return None

    def _gain(self, weights: str, steps: int) -> float:
        """Of looks that are so many steps apart."""
        if self.options.proportional is not None:
            return self.options.proportional
        return max(PROPORTIONAL[RAW], PROPORTIONAL[weights] * min(1.0, SPACING / max(steps, 1)))

    def conclude(self, seen: Callable[[str, str], Trajectory]) -> str:
        """Whether the budget was kept by the weights that were guarded, on the prompts that did not steer."""
        looks = seen(self.imitated, self.options.weights or AVERAGED)
        if self.options.weights is None and not looks.snapshots:
            looks = seen(self.imitated, RAW)
        return budget_sentence(looks, self.options.budget)

    @property
    def state(self) -> dict[str, Any]:
        """Both parts of log lambda, and the step of the latest look."""
        return {"integral": self.integral, "proportional": self.proportional, "step": self.step}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self.integral, self.proportional = float(state["integral"]), float(state["proportional"])
        self.step = int(state["step"])


class Budgeted(Method):
    """A method under a multiplier, which is all that it remembers."""

    def __init__(self, options: BudgetOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.multiplier = Multiplier(options, plan.imitated)

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
