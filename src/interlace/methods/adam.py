"""Adam's step on a tensor that no optimizer holds; its moments lie beside it, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor

COUNT = "count"
DECAYS, EPSILON = (0.9, 0.999), 1e-8


def at_rest(tensors: Mapping[str, Float[Tensor, "..."]]) -> dict[str, Tensor]:
    """The tensors with both moments of each, and how many steps they have made: none."""
    moments = {f"{name}_{moment}": each * 0.0 for name, each in tensors.items() for moment in ("mean", "square")}
    return {**tensors, **moments, COUNT: next(iter(tensors.values())).new_zeros(1)}


def stepped(state: Mapping[str, Tensor], gradients: Mapping[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
    """The state of `at_rest` after one more step, on every tensor that has a gradient."""
    count = state[COUNT] + 1.0
    new = {**state, COUNT: count}
    for name, gradient in gradients.items():
        mean = DECAYS[0] * state[f"{name}_mean"] + (1 - DECAYS[0]) * gradient
        square = DECAYS[1] * state[f"{name}_square"] + (1 - DECAYS[1]) * gradient**2
        length = (square / (1 - DECAYS[1] ** count)).sqrt() + EPSILON
        new[name] = state[name] - learning_rate * mean / (1 - DECAYS[0] ** count) / length
        new |= {f"{name}_mean": mean, f"{name}_square": square}
    return new


def wide(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In float32 at least, where small steps add up."""
    return tensor.float() if tensor.element_size() < 4 else tensor


def on_device(state: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    """The state where `like` is: what a checkpoint gave back lies on the CPU."""
    return {part: each.to(like.device) for part, each in state.items()}


MARK = "|"
"""Between a parameter's name and a part of its state, in the checkpoint."""


def written(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """States by parameter as one table."""
    return {f"{name}{MARK}{part}": each for name, parts in states.items() for part, each in parts.items()}


def read(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What `written` wrote."""
    states: dict[str, dict[str, Tensor]] = {}
    for key, each in tensors.items():
        name, _, part = key.rpartition(MARK)
        states.setdefault(name, {})[part] = each
    return states
