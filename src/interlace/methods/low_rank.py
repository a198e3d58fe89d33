"""A low-rank adapter that lives beside the weights it is merged into: LoRA's arithmetic without a wrapped model.

The gradient G of a matrix W = W_0 + scale B A gives those of the factors: of B scale G A^T, of A scale B^T G. So the
factors can be trained while the model holds W alone, and whoever reads it sees plain weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor

FACTORS = ("left", "right")
DECAYS, EPSILON = (0.9, 0.999), 1e-8


def new_adapter(matrix: Float[Tensor, "out in"], rank: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Factors and Adam's moments of both: B = 0, A uniform within 1/sqrt(in), as peft begins."""
    rows, columns = matrix.shape
    like = matrix.float()
    bound = columns**-0.5
    factors = {
        "left": like.new_zeros(rows, rank),
        "right": like.new_tensor(rng.uniform(-bound, bound, size=(rank, columns))),
    }
    moments = {f"{name}_{moment}": each * 0.0 for name, each in factors.items() for moment in ("mean", "square")}
    return {**factors, **moments, "count": like.new_zeros(1)}


def product(adapter: dict[str, Tensor], scale: float) -> Float[Tensor, "out in"]:
    """scale B A."""
    return scale * adapter["left"] @ adapter["right"]


def stepped(
    adapter: dict[str, Tensor], gradient: Float[Tensor, "out in"], scale: float, learning_rate: float
) -> dict[str, Tensor]:
    """The adapter after one step of Adam on both factors, for the gradient of the merged matrix."""
    full = scale * gradient.float()
    gradients = {"left": full @ adapter["right"].T, "right": adapter["left"].T @ full}
    count = adapter["count"] + 1.0
    new = {"count": count}
    for name in FACTORS:
        mean = DECAYS[0] * adapter[f"{name}_mean"] + (1 - DECAYS[0]) * gradients[name]
        square = DECAYS[1] * adapter[f"{name}_square"] + (1 - DECAYS[1]) * gradients[name] ** 2
        length = (square / (1 - DECAYS[1] ** count)).sqrt() + EPSILON
        new[name] = adapter[name] - learning_rate * mean / (1 - DECAYS[0] ** count) / length
        new |= {f"{name}_mean": mean, f"{name}_square": square}
    return new
