"""How the SFT loss bends along the way that training goes: along the displacement, and along the reward's gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interlace.estimate import Figure, Unresolved
from interlace.policies.gradients import HessianMethod, gradient, hessian_product
from interlace.probes.base import Price, Reading
from interlace.probes.context import DISPLACEMENT, ProbeContext
from interlace.probes.gradient_table import LOSS, REWARD
from interlace.probes.parts import merged
from interlace.statistics.intervals import mean_interval

ALONG_REWARD = "reward_gradient"


class Curvature:
    """kappa = d^T H d / norm(d)^2 of the SFT loss, nats/weight^2 (C6): positive means that it rises faster and faster.

    d is the displacement since the stage's start (`curvature_along_displacement`) and the reward's gradient here
    (`curvature_along_reward_gradient`), estimated on prompts that no curvature part has. It is
    the direction taken, noise included.

    Cost: a Hessian-vector product a direction on at most 64 prompts, 3.6 to 4.5 gradients each, or two of them by
    `finite_difference`.
    """

    name = "curvature"
    sentence = (
        "curvature of the SFT loss along the displacement since the stage's start and along the reward's gradient"
    )
    source = "B5, C6"
    cost: Price = "curvature"
    needs: tuple[str, ...] = ("curvature_parts",)

    def __init__(self, method: HessianMethod = "double_backward") -> None:
        self.method = method

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has an expert and the policy is one that is trained."""
        return context.has_gradient(LOSS)

    def measure(self, context: ProbeContext) -> Reading:
        """One Hessian-vector product a part and direction."""
        return Reading(
            {
                f"curvature_along_{name}": self._along(context, direction)
                for name, direction in _directions(context).items()
            }
        )

    def _along(self, context: ProbeContext, direction: Float[Tensor, "parameter"]) -> Figure:
        if not bool(direction.any()):
            return Unresolved("the direction is 0")
        found = rayleigh_quotients(context, direction, self.method)
        method = f"Student t over parts, {self.method.replace('_', ' ')}{precision_note(context)}"
        return mean_interval(found, unit="nats/weight^2", method=method, level=context.level)


def precision_note(context: ProbeContext) -> str:
    """What a figure of second derivatives says of weights of less than float32, in whose precision it was computed."""
    dtype = context.policy.model.dtype
    return f", in {str(dtype).removeprefix('torch.')}" if dtype.itemsize < torch.float32.itemsize else ""


def rayleigh_quotients(
    context: ProbeContext, direction: Float[Tensor, "parameter"], method: HessianMethod = "double_backward"
) -> Float[np.ndarray, "part"]:
    """d^T H d / norm(d)^2 of the SFT loss of each curvature part."""
    unit = direction / direction.norm()
    products = (
        hessian_product(context.policy, part.total, context.look.space, unit, method)
        for part in context.curvature_parts
    )
    return np.array([float(unit.to(product) @ product) for product in products])


def _directions(context: ProbeContext) -> Mapping[str, Float[Tensor, "parameter"]]:
    found: dict[str, Float[Tensor, "parameter"]] = {}
    if DISPLACEMENT in context.look.directions:
        found[DISPLACEMENT] = context.look.directions[DISPLACEMENT]
    reward = (context.target.task.name, REWARD)
    if reward in context.objectives:
        total = merged(context.parts(2)[reward]).total
        found[ALONG_REWARD] = gradient(context.policy, total, context.look.space).vector
    return {
        name: direction.to(torch.promote_types(direction.dtype, torch.float32)) for name, direction in found.items()
    }
