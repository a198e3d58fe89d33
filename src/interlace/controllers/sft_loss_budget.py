"""Stop where the SFT loss has risen by what the user allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from interlace.analysis.changes import OBJECTIVES
from interlace.analysis.trajectory import SFT_LOSS
from interlace.controllers.base import RuleOptions, Sighting
from interlace.controllers.crossing import Crossing
from interlace.controllers.limits import When, against, beyond, less
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.measurement import HeldOut


class SftLossBudgetOptions(RuleOptions):
    """Of the rule `sft_loss_budget`."""

    nats: float = Field(gt=0.0, allow_inf_nan=False)
    """How much the SFT loss may rise above the stage's start, nats/response."""
    responses: Literal["all", "right"] = "all"
    """On which expert responses: all, or those that earn 1 (A11): a reward must raise the loss on wrong ones."""
    when: When = "exceeded"
    """`exceeded`: once the rise is resolved above the budget. `possible`: once the rise cannot be told from one above
    it, so that a stage goes on with a rise above the budget in at most 5 % of cases."""


@dataclass(frozen=True)
class SftLossBudget(Crossing):
    """The paired change of SFT loss since the stage's start lies above `nats`: its lower end, or (`possible`) its upper
    one."""

    name: ClassVar[str] = "sft_loss_budget"
    sentence: ClassVar[str] = "stop once the held-out SFT loss, of all or of the right responses, has risen by a budget"
    source: ClassVar[str] = "the run itself; A11 for right responses"
    cost: ClassVar[str] = "none beyond SFT loss"
    quantity: ClassVar[str] = "rise of SFT loss less the budget"
    needs: ClassVar[tuple[str, ...]] = ("sft_loss",)
    of_rl: ClassVar[bool] = False
    takes: ClassVar[type[RuleOptions]] = SftLossBudgetOptions

    options: SftLossBudgetOptions

    def refuses(self, held: HeldOut) -> str | None:
        """A task without expert responses, or without right ones where those are asked for."""
        if not held.prompt.size:
            return f"task {held.task} has no expert responses"
        return OBJECTIVES[self._objective].refuses(held)

    def excess(self, sighting: Sighting, level: float) -> Figure:
        """The rise less the budget, nats/response."""
        missing = sighting.trajectory.gap(SFT_LOSS) or self.refuses(sighting.held)
        if missing is not None:
            return Unresolved(missing)
        rise = OBJECTIVES[self._objective].change(sighting.start, sighting.now, level)
        return less(rise, self.options.nats)

    def is_beyond(self, excess: Estimate) -> bool:
        """By the end that `when` asks for."""
        return beyond(excess, self.options.when)

    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """The rise against the budget."""
        responses = "right responses" if self.options.responses == "right" else "responses"
        rose = figure_text(less(excess, -self.options.nats), signed=True)
        return (
            f"the SFT loss on the expert's {responses} of {sighting.held.task} changed by {rose}: "
            f"{against(excess, 'the budget', self.options.nats)}"
        )

    @property
    def _objective(self) -> str:
        return "sft_loss" if self.options.responses == "all" else "sft_loss_right"
