"""Stop where R - lambda L falls along the reward's gradient, by gradients and curvature as measured (B5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from interlace.analysis.trajectory import REWARD, SFT_LOSS
from interlace.controllers.base import RuleOptions, Sighting
from interlace.controllers.crossing import Crossing
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.flags.gradient_angle import excess_over, has_enough_parts
from interlace.measurement import HeldOut
from interlace.probes.landscape import Landscape
from interlace.wording import number

MEASURED = (
    "reward_gap_to_best",
    "pl_constant_reward",
    "gradient_cosine",
    "sft_gradient_norm_squared",
    "curvature_along_reward_gradient",
)
"""B5's inputs by the names under which the probes record them: D0, mu, c, g^2, kappa."""


class SlopeOptions(RuleOptions):
    """Of the rule `slope`."""

    exchange_rate: float = Field(gt=0.0, allow_inf_nan=False)
    """lambda: reward units that one nat/response of SFT loss is worth."""
    weights: Literal["raw"] = "raw"
    """Gradients are taken of the weights that are trained."""


@dataclass(frozen=True)
class Slope(Crossing):
    """B5's slope at u = 0 is resolved below 0, and with mu and kappa as measured its best duration from here is 0.

    With mu = norm(grad R)^2 / (2 D0), as it is measured (C3), 2 D0 + lambda c g S < 0 says that lambda <grad L, grad R>
    exceeds norm(grad R)^2: linear in products of gradients on disjoint prompts, so that the test needs no norm to be
    resolved. kappa decides what the slope cannot: where the SFT loss bends down along the path, a longer way may pay.
    A look at which mu or kappa is not resolved decides nothing.
    """

    name: ClassVar[str] = "slope"
    sentence: ClassVar[str] = (
        "stop once a step along the reward's gradient is resolved to cost more SFT loss than it is worth at an "
        "exchange rate, and the curvature promises nothing later; conditional on PL on this path"
    )
    source: ClassVar[str] = "B5, D15, C2"
    cost: ClassVar[str] = "the probes of preset full"
    quantity: ClassVar[str] = "<grad L, grad R> less norm(grad R)^2/lambda"
    needs: ClassVar[tuple[str, ...]] = ("sft_loss", "reward", "alignment", "pl_constants", "curvature")
    of_rl: ClassVar[bool] = True
    takes: ClassVar[type[RuleOptions]] = SlopeOptions

    options: SlopeOptions

    def refuses(self, held: HeldOut) -> str | None:
        """A task without expert responses, or without their rewards."""
        if not held.prompt.size:
            return f"task {held.task} has no expert responses"
        return None

    def excess(self, sighting: Sighting, level: float) -> Figure:
        """<grad L, grad R> - norm(grad R)^2 / lambda, nats x reward units."""
        missing = sighting.trajectory.gap(SFT_LOSS, REWARD)
        if missing is not None:
            return Unresolved(missing)
        products = sighting.scores.gradients
        if products is None or not has_enough_parts(products):
            return Unresolved("gradients were not taken at this look, or of too few parts")
        return excess_over(products, 1.0 / self.options.exchange_rate, level)

    def stands(self, sighting: Sighting) -> tuple[bool, str]:
        """Whether B5's best duration from here is 0."""
        missing = [name for name in MEASURED if isinstance(sighting.figures.get(name), Unresolved | None)]
        if missing:
            return False, f"B5 needs {', '.join(missing)}, which was not resolved where the slope turned: going on"
        best = Landscape(self.options.exchange_rate).durations(sighting.figures)["optimal_progress"]
        if isinstance(best, Estimate) and best.value == 0.0:
            return True, "With mu and kappa as measured B5's best duration from here is 0, conditional on PL"
        return False, f"the slope is below 0, but with mu and kappa as measured B5 goes on to {best}"

    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """The slope."""
        return (
            f"a step along the reward's gradient on {sighting.held.task} costs more SFT loss than it is worth at "
            f"lambda {number(self.options.exchange_rate)}: <grad L, grad R> exceeds norm(grad R)^2/lambda by "
            f"{figure_text(excess)} (B5)"
        )
