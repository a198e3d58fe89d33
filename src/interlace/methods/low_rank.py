"""A low-rank adapter that lives beside the weights it is merged into: LoRA's arithmetic without a wrapped model.

The gradient G of a matrix W = W_0 + scale B A gives those of the factors: of B scale G A^T, of A scale B^T G. So the
factors can be trained while the model holds W alone, and whoever reads it sees plain weights. Matrices but embeddings
have an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from pydantic import Field

from interlace.methods import adam
from interlace.methods.base import MethodOptions, Plan, Update

if TYPE_CHECKING:
    from torch import Tensor


class AdapterOptions(MethodOptions):
    """Of every method that trains an adapter."""

    rank: int = Field(default=8, ge=1)
    """Of the adapter of each matrix."""
    scale: float = Field(default=2.0, gt=0.0, allow_inf_nan=False)
    """Factor of the adapter's product (alpha / rank in LoRA)."""
    rate: float = Field(default=10.0, gt=0.0, allow_inf_nan=False)
    """The adapter's learning rate, as a multiple of the stage's."""


class Adapters:
    """Those of a model, by parameter, each with Adam's moments of its own."""

    def __init__(self, options: AdapterOptions, plan: Plan) -> None:
        self._options, self._plan = options, plan
        self._states: dict[str, Mapping[str, Tensor]] = {}

    @staticmethod
    def takes(name: str, weight: Tensor) -> bool:
        """Whether a parameter has one."""
        return weight.dim() == 2 and "embed" not in name and "lm_head" not in name

    def step(self, update: Update, gradient: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        """What one step of Adam on the factors adds to the matrix, whose gradient is given."""
        old, scale = self._state(update), self._options.scale
        new = stepped(old, gradient, scale, self._options.rate * update.learning_rate)
        self._states[update.name] = new
        return (product(new, scale) - product(old, scale)).to(update.before.dtype)

    def _state(self, update: Update) -> Mapping[str, Tensor]:
        if update.name not in self._states:
            rng = self._plan.rng(0, *update.name.encode())
            return new_adapter(update.before, self._options.rank, rng)
        return adam.on_device(self._states[update.name], update.before)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Each adapter's factors and moments."""
        return adam.written(self._states)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""
        self._states = {**adam.read(tensors)}


def new_adapter(matrix: Float[Tensor, "out in"], rank: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Factors and Adam's moments of both: B = 0, A uniform within 1/sqrt(in), as peft begins."""
    rows, columns = matrix.shape
    like = adam.wide(matrix)
    bound = columns**-0.5
    right = like.new_tensor(rng.uniform(-bound, bound, size=(rank, columns)))
    return adam.at_rest({"left": like.new_zeros(rows, rank), "right": right})


def product(adapter: Mapping[str, Tensor], scale: float) -> Float[Tensor, "out in"]:
    """scale B A."""
    return scale * adapter["left"] @ adapter["right"]


def stepped(
    adapter: Mapping[str, Tensor], gradient: Float[Tensor, "out in"], scale: float, learning_rate: float
) -> dict[str, Tensor]:
    """The adapter after one step of Adam on both factors, for the gradient of the merged matrix."""
    full = scale * adam.wide(gradient)
    factors = {"left": full @ adapter["right"].T, "right": adapter["left"].T @ full}
    return adam.stepped(adapter, factors, learning_rate)
