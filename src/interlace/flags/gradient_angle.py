"""Flag: the gradients of both objectives stand against each other: from here a step for one undoes the other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, figure_text
from interlace.flags.base import Evidence
from interlace.measurement import GradientProducts
from interlace.statistics import cosine, inner_product, jackknife_interval
from interlace.statistics.unbiased import MINIMUM_PARTS, left_out_products, mean_product

GAIN = 0.1
"""Against each other counts if a rise of reward by this share of its range costs `MATERIAL` of the start's SFT loss or
more, to first order. At an optimum of SFT the loss's gradient is small and turns with every wobble: without this bound
44 % of SFT -> SFT runs raised the flag in simulation, with it none of 100."""

AGAINST = {
    "rl": "a step for the reward now raises SFT loss",
    "sft": "an SFT step now lowers the reward",
}
UNDOES = "a step for one of them now undoes the other"
"""Of every other kind of stage."""


class GradientAngle:
    """<grad L, grad R> - c norm(grad R)^2 is resolved above 0, c = `MATERIAL` L_0 / (`GAIN` w), w the rewards' range.

    Where it is, cos(grad L, grad R) > 0: RL's ascent raises L and SFT's descent lowers R (D2), at a price dL/dR above c
    (D15). Of stages at whose start the inner product was not resolved above 0 (at 95 %): what was so from the beginning
    is no news. "Turned" is said only where it was resolved below 0 there. The test is of the look's own parts at this
    look's level, linear in their products: the interval is a jackknife over the parts of both sides, which needs no
    norm to be resolved.
    """

    name = "gradient_angle"
    sentence = (
        "the gradients of SFT loss and reward stand against each other, which they did not, resolvably, at the start"
    )
    source = "D2, D15, C2"
    cost = "none beyond the probe alignment"

    def applies(self, evidence: Evidence) -> bool:
        """Where gradients were taken at the start and now, both objectives are measured, and rewards differ at all."""
        both = evidence.start.scores.gradients, evidence.now.scores.gradients
        measured = evidence.has_loss and evidence.has_reward and all(map(has_enough_parts, both))
        return measured and evidence.trajectory.reward_range > 0.0

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the angle is resolved."""
        start, now = evidence.start.scores.gradients, evidence.now.scores.gradients
        assert start is not None and now is not None
        before = inner_product(start.cross, unit="")
        excess = excess_over(now, _material_price(evidence), evidence.level)
        if before.sign > 0 or not isinstance(excess, Estimate) or excess.lower <= 0.0:
            return None
        angle = cosine(now.loss, now.reward, now.cross, level=evidence.level)
        how = "turned" if before.sign < 0 else "stand, now resolved,"
        return (
            f"step {evidence.step}: the gradients of SFT loss and reward on {evidence.held.task} {how} against each "
            f"other: {AGAINST.get(evidence.kind, UNDOES)} (D2). cos(grad L, grad R) {figure_text(angle, unit=False)}; "
            f"{figure_text(cosine(start.loss, start.reward, start.cross), unit=False)} at the stage's start"
        )


def excess_over(products: GradientProducts, price: float, level: float) -> Figure:
    """<grad L, grad R> - `price` norm(grad R)^2, unbiased, with a jackknife interval over the parts of both sides.

    `price`: nats/response per reward unit. Positive: reward costs more than that to first order.
    """
    cross, reward = products.cross, products.reward
    norms = left_out_products(reward)
    by_loss = _left_out(cross.mean(axis=1)) - price * norms.mean()
    by_reward = _left_out(cross.mean(axis=0)) - price * norms
    point = float(cross.mean()) - price * mean_product(reward)
    return jackknife_interval(point, (by_loss, by_reward), unit="nats x reward units", units="parts", level=level)


def _left_out(means: Float[np.ndarray, "part"]) -> Float[np.ndarray, "part"]:
    return (means.sum() - means) / (means.size - 1)


def _material_price(evidence: Evidence) -> float:
    """c, nats/response per reward unit."""
    return evidence.material_rise / (GAIN * evidence.trajectory.reward_range)


def has_enough_parts(products: GradientProducts | None) -> bool:
    """Whether gradients were taken, of so many parts that they have an interval."""
    return products is not None and min(products.cross.shape) >= MINIMUM_PARTS
