"""What goes into the landscape laws and what comes out: figures, alone or in arrays that broadcast.

All figures alone: a float comes out. An array among those that a result depends on: an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from interlace.errors import DataError

Figures = TypeVar("Figures", float, Float[np.ndarray, "..."])
Result: TypeAlias = Any
"""In a named tuple: a float, or an array if an argument was one. (beartype checks no generic named tuples.)"""

Truths: TypeAlias = bool | Bool[np.ndarray, "..."]

COSINE_ROUNDING = 1e-6
"""How far a measured cosine may be outside [-1, 1]: single-precision rounding."""


class Bounds(NamedTuple):
    """What a figure cannot be below and cannot be above, in its own unit."""

    lower: Result
    upper: Result


def figure(values: Float[np.ndarray, "..."] | np.float64) -> Any:
    """`values` as a float if it is one number."""
    return float(values) if np.ndim(values) == 0 else values


def truth(values: Bool[np.ndarray, "..."] | np.bool) -> Truths:
    """`values` as a bool if it is one answer."""
    return bool(values) if np.ndim(values) == 0 else np.asarray(values)


def check(**arguments: Any) -> None:
    """Raises DataError for the first argument that breaks the rule of its name. NaN breaks every rule."""
    for name, values in arguments.items():
        rule, remedy = RULES[name]
        refuse(name, values, np.asarray(_MEETS[rule](np.asarray(values, dtype=np.float64))), rule, remedy)


def refuse(name: str, values: Any, kept: Bool[np.ndarray, "..."], rule: str, remedy: str) -> None:
    """Raises DataError with the first of `values` at which the rule is not `kept`."""
    if not kept.all():
        worst = np.broadcast_to(np.asarray(values), kept.shape)[~kept].flat[0]
        raise DataError(f"{name} must {rule}. Got {worst.item()!r}. {remedy}")


_MEETS: dict[str, Callable[[Any], Any]] = {
    "be positive": lambda x: (x > 0.0) & np.isfinite(x),
    "be at least 0": lambda x: x >= 0.0,
    "be finite and at least 0": lambda x: (x >= 0.0) & np.isfinite(x),
    "be finite": np.isfinite,
    "be between 0 and 1": lambda x: (x >= 0.0) & (x <= 1.0),
    "be at least 0 and below 1": lambda x: (x >= 0.0) & (x < 1.0),
    "be at least 1": lambda x: x >= 1.0,
    "be a cosine": lambda x: np.abs(x) <= 1.0 + COSINE_ROUNDING,
}

RULES: dict[str, tuple[str, str]] = {
    "alignment": ("be a cosine", "Give the cosine between the ascent or descent direction and the update (B2)."),
    "curvature": ("be finite", "Measure it by one Hessian-vector product along the update."),
    "distance": ("be finite and at least 0", "Give the distance to the nearest minimum."),
    "exchange_rate": ("be finite and at least 0", "Say how much reward one nat of SFT loss is worth."),
    "gap": ("be finite and at least 0", "Take an optimum at least as good as every figure seen."),
    "gap_left": ("be finite and at least 0", "Take an optimum at least as good as every figure seen."),
    "gradient_norm": ("be finite and at least 0", "Give the norm of the gradient where the update starts."),
    "inner_product": ("be finite", "Give the inner product of the gradient and the update."),
    "momentum": ("be at least 0 and below 1", "Give the optimiser's first-moment decay."),
    "num_runs": ("be at least 1", "Count the runs whose weights are averaged."),
    "num_steps": ("be at least 0", "Count the steps."),
    "pl_constant": ("be positive", "Measure it on the path, away from the optimum; without one B says nothing."),
    "progress": ("be between 0 and 1", "Give 1 - exp(-pl_constant time)."),
    "smoothness": ("be finite and at least 0", "Measure the largest curvature on the path."),
    "step_size": ("be at least 0", "Give the learning rate of plain gradient steps."),
    "time": ("be at least 0", "Give gradient-flow time: step size x steps."),
    "update_norm": ("be finite and at least 0", "Give the norm of the update really applied."),
}
"""The rule of each argument by its name, and what to do about it."""
