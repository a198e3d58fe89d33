"""Moment: what a trainer knows at a look that the weights alone do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.policies.parameters import ParameterSpace, widened
from interlace.policies.policy import CausalModel

SECOND_MOMENT, LARGEST_SECOND_MOMENT = "exp_avg_sq", "max_exp_avg_sq"


@dataclass(frozen=True)
class Moment:
    """`previous`: the trainable weights before the last optimizer step, by name, on any device; `optimizer`: the
    trainer's; `micro_gradients`: what each micro-batch of the last step, `micro_batch_size` sequences, added to the
    gradient of the normalisation layers; `step`: which optimizer step that is. Any may be missing."""

    previous: Mapping[str, Tensor] | None = None
    optimizer: torch.optim.Optimizer | None = None
    micro_gradients: tuple[Float[Tensor, "norm_parameter"], ...] = ()
    micro_batch_size: int = 1
    step: int | None = None

    def is_of(self, step: int) -> bool:
        """Whether `step` is the optimizer step that it tells of."""
        return self.step is None or self.step == step


def keep_weights(model: CausalModel) -> dict[str, Tensor]:
    """Copies of the trainable weights, for `Moment.previous`. Cost: one copy in memory."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def preconditioner(
    model: CausalModel, space: ParameterSpace, optimizer: torch.optim.Optimizer | None
) -> Float[Tensor, "parameter"] | None:
    """Adam's diagonal P = 1 / (sqrt(v / (1 - beta2^t)) + eps), which turns a gradient into the update's direction.

    None without an optimizer, before its first step, where it keeps no second moments for every parameter, or where all
    of them are 0: an optimizer that has seen no gradient has no metric. With AMSGrad v is the largest so far. Learning
    rates are not in it: where groups of parameters have different ones, P is the metric within a group alone.
    """
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    if inner is None:
        return None
    groups = {id(weight): group for group in inner.param_groups for weight in group["params"]}
    named, found, has_learned = dict(model.named_parameters()), [], False
    for name in space.names:
        state, group = inner.state.get(named[name], {}), groups.get(id(named[name]))
        if group is None or SECOND_MOMENT not in state:
            return None
        has_learned = has_learned or bool(state[SECOND_MOMENT].any())
        found.append(_diagonal(state, group))
    return torch.cat(found) if has_learned else None


def _diagonal(state: Mapping[str, Any], group: Mapping[str, Any]) -> Tensor:
    _, beta2 = group["betas"]
    correction = 1.0 - beta2 ** float(state["step"])
    second = state.get(LARGEST_SECOND_MOMENT, state[SECOND_MOMENT])
    return 1.0 / ((widened(second).reshape(-1) / correction).sqrt() + group["eps"])
