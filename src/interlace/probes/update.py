"""What the last optimizer step did to the SFT loss: the update really applied against the gradient where it began."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure
from interlace.probes.base import Price, Reading
from interlace.probes.context import UPDATE, ProbeContext
from interlace.probes.gradient_table import LOSS, GradientTable, fill_table
from interlace.probes.part_statistics import (
    means_left_out,
    ratio_over_parts,
    unresolved_norm,
)
from interlace.statistics.intervals import mean_interval
from interlace.statistics.unbiased import clipped, left_out_products, mean_product

OVER_PARTS = "Student t over parts"


class Update:
    """B2 for d = theta now - theta before the last step, clipping, momentum and preconditioner included.

    `update_alignment` = cos(-grad L, d): positive means that the step lowers the SFT loss at first. `update_slope` =
    <grad L, d> is the change to first order and `update_sft_loss_change` the change itself, both on the same prompts.
    `directional_smoothness` = <grad L after - grad L before, d> / norm(d)^2, the mean curvature along the step (C6).

    Cost: a forward and backward over the SFT half of the held-out prompts at the weights before the step.
    """

    name = "update"
    sentence = (
        "the last optimizer step against the SFT loss's gradient: alignment, slope, change and curvature along it"
    )
    source = "B2"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients", "moment")

    def applies(self, context: ProbeContext) -> bool:
        """Where the weights before the last step were kept."""
        kept = context.moment is not None and context.moment.previous is not None
        return kept and context.has_gradient(LOSS)

    def measure(self, context: ProbeContext) -> Reading:
        """Take the gradient where the step began."""
        direction = context.look.directions.get(UPDATE)
        if direction is None:
            return Reading({})
        length, level = float(direction.double().norm()), context.level
        loss, after, before = (context.target.task.name, LOSS), context.gradients, _before(context)
        slope = before.slopes(loss, UPDATE)
        bend = (after.slopes(loss, UPDATE) - slope) / length**2
        change = after.parts(loss) - before.parts(loss)
        return Reading(
            {
                "update_alignment": _alignment(slope, before.products(loss, loss), length, level),
                "update_slope": mean_interval(slope, unit="nats/response", method=OVER_PARTS, level=level),
                "update_sft_loss_change": mean_interval(change, unit="nats/response", method=OVER_PARTS, level=level),
                "directional_smoothness": mean_interval(bend, unit="nats/weight^2", method=OVER_PARTS, level=level),
            }
        )


def _before(context: ProbeContext) -> GradientTable:
    """The SFT loss's gradients at the weights before the step, on the parts that the look's table has after it."""
    assert context.moment is not None and context.moment.previous is not None
    look, loss = context.look, (context.target.task.name, LOSS)
    table = context.gradients.rows[loss]
    parts = context.parts(table.stop - table.start)[loss]
    device = context.policy.model.device
    previous = {name: weight.to(device) for name, weight in context.moment.previous.items()}
    return fill_table(context.policy, look.space, {loss: parts}, weights=previous, directions=look.directions)


def _alignment(
    slope: Float[np.ndarray, "part"], gram: Float[np.ndarray, "part part"], length: float, level: float
) -> Figure:
    refusal = unresolved_norm(gram, "gradient of the SFT loss", level)
    if refusal is not None:
        return refusal
    with np.errstate(invalid="ignore"):
        norms = np.sqrt(left_out_products(gram))
    point = -float(slope.mean()) / (math.sqrt(mean_product(gram)) * length)
    slopes, method = -means_left_out(slope), "disattenuated, jackknife"
    figure = ratio_over_parts(point, slopes, norms * length, unit="cosine", method=method, level=level)
    return clipped(figure, -1.0, 1.0)
