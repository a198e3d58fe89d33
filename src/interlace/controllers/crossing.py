"""Rules that stop at the first look at which a figure is resolved beyond a bound, their error spent over all looks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from interlace.controllers.base import Decision, RuleOptions, Sighting, State, look_level
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import HeldOut

ROUNDING = 1e-9
"""Two means of one constant may differ by rounding, and always in the same direction."""


@dataclass(frozen=True)
class Crossing(ABC):
    """`excess`, the figure less its bound and positive beyond it, has its lower end above 0.

    The error `FALSE_STOPS` is divided evenly over the planned looks (Bonferroni, valid for any dependence between
    them), so that a stop before the crossing has at most that probability over the whole stage; a look whose share is
    spent decides nothing. A stop that rewinds goes to the last look whose estimate lay on this side of the bound: the
    crossing was before it was resolved.
    """

    quantity: ClassVar[str]
    """What `excess` is, in words."""

    options: RuleOptions
    looks: int

    @property
    def level(self) -> float:
        """The two-sided level of each look's interval."""
        return look_level(self.looks)

    @abstractmethod
    def excess(self, sighting: Sighting, level: float) -> Figure:
        """How far beyond the bound this look is."""

    @abstractmethod
    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """Why this look ends the stage, with figures."""

    def stands(self, sighting: Sighting) -> tuple[bool, str]:
        """Whether a crossing that is resolved ends the stage, and what there is to say beside it."""
        return True, ""

    def refuses(self, held: HeldOut) -> str | None:
        """Nothing, unless a rule says otherwise."""
        return None

    def init(self) -> State:
        """Nothing was looked at; a rewind would go to the start."""
        return State()

    def is_beyond(self, excess: Estimate) -> bool:
        """Whether the interval decides."""
        return excess.lower > ROUNDING * max(1.0, abs(excess.value))

    def update(self, state: State, sighting: Sighting) -> tuple[State, Decision]:
        """Look, remember the last place on this side, and stop where the crossing is resolved."""
        excess = self.excess(sighting, self.level)
        if isinstance(excess, Unresolved):
            return state, Decision(False, excess)
        state = state.looked(sighting.step, self.looks)
        is_near = excess.value <= 0.0
        if is_near:
            state = replace(state, candidate=sighting.step)
        if not (sighting.step in state.looks and self.is_beyond(excess)):
            return state, Decision(False, excess, keep=is_near)
        stands, remark = self.stands(sighting)
        if not stands:
            return state, Decision(False, excess, remark, keep=is_near)
        reason = f"{self.reason(sighting, excess)}. Its interval is at {self.level:.1%}: 5 % error over all looks"
        return state, Decision(
            True,
            excess,
            f"{reason}. {remark}".removesuffix(". "),
            rewind_to=state.candidate if self.options.rewind else None,
            quantity=self.quantity,
        )
