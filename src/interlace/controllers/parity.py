"""Stop at parity: the reward has reached the expert's, from where the RL path raises SFT loss (A4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from interlace.analysis.parity_gap import parity_gap
from interlace.analysis.trajectory import REWARD
from interlace.controllers.base import RuleOptions, Sighting
from interlace.controllers.crossing import Crossing
from interlace.controllers.objectives import unknown_expert_reward
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.measurement import HeldOut


class ParityOptions(RuleOptions):
    """Of the rule `parity`."""


@dataclass(frozen=True)
class Parity(Crossing):
    """R - R_D over the held-out prompts is resolved above 0 (`parity_gap`: sampled rewards have a bounded interval)."""

    name: ClassVar[str] = "parity"
    sentence: ClassVar[str] = "stop once the reward is resolved at the expert's or above: there SFT loss is least (A4)"
    source: ClassVar[str] = "A4"
    cost: ClassVar[str] = "none beyond reward"
    quantity: ClassVar[str] = "reward less the expert's"
    needs: ClassVar[tuple[str, ...]] = ("reward",)
    of_rl: ClassVar[bool] = True
    takes: ClassVar[type[RuleOptions]] = ParityOptions

    options: ParityOptions

    def refuses(self, held: HeldOut) -> str | None:
        """A task whose expert earns nothing that is known."""
        return unknown_expert_reward(held)

    def excess(self, sighting: Sighting, level: float) -> Figure:
        """R - R_D, reward units."""
        missing = sighting.trajectory.gap(REWARD)
        if missing is not None:
            return Unresolved(missing)
        return parity_gap(sighting.now, sighting.trajectory.expert_reward, level=level)

    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """The gap."""
        return (
            f"the reward on {sighting.held.task} is {figure_text(excess, signed=True)} above the expert's: "
            "on the RL path SFT loss rises from here on (A4)"
        )
