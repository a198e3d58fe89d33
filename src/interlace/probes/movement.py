"""Where the weights go: the length of the last update and of the way so far, and the angle between them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from interlace.estimate import Figure, Unresolved, exact
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext


class Movement:
    """`update_norm`, `displacement_norm` (from the stage's start to before the last update), in weight units, and
    `update_displacement_cosine`: 1 where training goes straight on, 0 where it turns or wanders, below 0 on its
    way back.

    Known without error: no data enter. Cost: three passes over the trainable weights in memory, no forward; the weights
    before the update are kept for it.
    """

    name = "movement"
    sentence = "length of the last update and of the way from the stage's start, and the cosine of the two"
    source = "B8"
    cost: Price = "byproduct"
    needs: tuple[str, ...] = ("moment", "start_weights")

    def applies(self, context: ProbeContext) -> bool:
        """Where the weights before the last step were kept."""
        return context.moment is not None and context.moment.previous is not None and context.has_gradient()

    def measure(self, context: ProbeContext) -> Reading:
        """Add up the squares, parameter by parameter."""
        assert context.moment is not None and context.moment.previous is not None
        now = context.look.space.weights_of(context.policy)
        update, displacement, shared = _products(now, context.moment.previous, context.start_weights)
        lengths = math.sqrt(update), math.sqrt(displacement)
        figures: dict[str, Figure] = {"update_norm": exact(lengths[0], "weight", level=context.level)}
        if context.start_weights is None:
            return Reading(figures)
        figures["displacement_norm"] = exact(lengths[1], "weight", level=context.level)
        if min(lengths) == 0.0:
            still = "the update" if lengths[0] == 0.0 else "the way so far"
            figures["update_displacement_cosine"] = Unresolved(f"{still} has no length, so no direction")
        else:
            angle = max(-1.0, min(1.0, shared / (lengths[0] * lengths[1])))
            figures["update_displacement_cosine"] = exact(angle, "cosine", level=context.level)
        return Reading(figures)


def _products(
    now: Mapping[str, Tensor], previous: Mapping[str, Tensor], start: Mapping[str, Tensor] | None
) -> tuple[float, float, float]:
    """Squared length of the update and of the way before it, and their inner product."""
    totals = torch.zeros(3, dtype=torch.float64)
    for name, weight in now.items():
        before = previous[name].to(weight.device).double()
        update = weight.double() - before
        way = torch.zeros_like(update) if start is None else before - start[name].to(weight.device).double()
        pairs = ((update, update), (way, way), (update, way))
        totals += torch.stack([(left * right).sum().cpu() for left, right in pairs])
    return float(totals[0]), float(totals[1]), float(totals[2])
