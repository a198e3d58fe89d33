"""Stop where the policy has gone a given divergence from the stage's start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from interlace.controllers.base import RuleOptions, Sighting
from interlace.controllers.crossing import Crossing
from interlace.controllers.limits import When, against, beyond, less
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.statistics import mean_interval


class KlOptions(RuleOptions):
    """Of the rule `kl`."""

    nats: float = Field(gt=0.0, allow_inf_nan=False)
    """How far the policy may go, nats/response."""
    when: When = "exceeded"
    """`exceeded`: once the divergence is resolved above; `possible`: once that cannot be excluded."""


@dataclass(frozen=True)
class Kl(Crossing):
    """KL(policy to the stage's start) over the held-out prompts lies above `nats`, by the end that `when` names."""

    name: ClassVar[str] = "kl"
    sentence: ClassVar[str] = "stop once the divergence from the stage's start, KL(policy to start), passes a limit"
    source: ClassVar[str] = "C5"
    cost: ClassVar[str] = "the probe divergence"
    quantity: ClassVar[str] = "KL(policy to the stage's start) less the limit"
    needs: ClassVar[tuple[str, ...]] = ("divergence",)
    of_rl: ClassVar[bool] = False
    takes: ClassVar[type[RuleOptions]] = KlOptions

    options: KlOptions

    def excess(self, sighting: Sighting, level: float) -> Figure:
        """The divergence less the limit, nats/response."""
        kl = sighting.scores.kl
        if kl is None:
            return Unresolved("KL was not measured at this look")
        return less(mean_interval(kl, unit="nats/response", level=level), self.options.nats)

    def is_beyond(self, excess: Estimate) -> bool:
        """By the end that `when` asks for."""
        return beyond(excess, self.options.when)

    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """The divergence against the limit."""
        return (
            f"KL(policy to the stage's start) on {sighting.held.task} is "
            f"{figure_text(less(excess, -self.options.nats))}: {against(excess, 'the limit', self.options.nats)}"
        )
