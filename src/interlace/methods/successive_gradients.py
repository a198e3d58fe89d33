"""Gradients of successive updates held against each other, parameter by parameter as they pass by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor


class SuccessiveGradients:
    """The product of an update's gradient with that of the update before, and the mean of their squared norms.

    Summed over all parameters in float64. Memory: the gradient of the update before.
    """

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}
        self._product = self._square = 0.0
        self._square_before: float | None = None

    def take(self, name: str, gradient: Float[Tensor, "*shape"]) -> None:
        """One parameter's gradient in the update at hand."""
        flat, before = gradient.detach().double().flatten(), self.before.get(name)
        self._square += float(flat @ flat)
        if before is not None:
            self._product += float(flat @ before.to(flat).flatten())
        self.before[name] = gradient.detach().clone()

    def completed(self) -> tuple[float, float] | None:
        """Product and square of the update that is complete; None of the first, before which there is none."""
        product, square, square_before = self._product, self._square, self._square_before
        self._product, self._square, self._square_before = 0.0, 0.0, square
        return None if square_before is None else (product, (square + square_before) / 2.0)

    @property
    def state(self) -> dict[str, Any]:
        """The sums as they stand; the gradients are apart."""
        return {"product": self._product, "square": self._square, "square_before": self._square_before}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self._product, self._square = float(state["product"]), float(state["square"])
        self._square_before = None if state["square_before"] is None else float(state["square_before"])
