"""Methods that combine the two losses' gradients: each says how much of either, from three inner products.

These combinations depend on two gradients through their Gram matrix alone (others, by signs, do not). Inner products
are taken in the optimizer's metric (D12): Adam divides each coordinate by sqrt(v), so that a projection made before it
is void after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Weights

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Gram:
    """<g_R, g_R>, <g_S, g_S> and <g_R, g_S> of the gradients of the two losses, in one metric."""

    rl: float
    sft: float
    both: float

    @property
    def conflicts(self) -> bool:
        """Whether a step down one loss goes up the other, to first order."""
        return self.both < 0.0 < min(self.rl, self.sft)


class CombiningOptions(MethodOptions):
    """Of every method that combines gradients."""

    gamma: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    """The SFT loss is multiplied by this before anything else."""
    metric: Literal["optimizer", "plain"] = "optimizer"
    """Of inner products: the optimizer's step a unit of gradient, or none (as most code has it)."""


class Combining(Method, ABC):
    """The update's gradient is a * g_R + b * g_S, with (a, b) of `shares`."""

    cost: ClassVar[str] = "GRPO and an SFT step, both gradients in memory"
    takes: ClassVar[type[MethodOptions]] = CombiningOptions
    splits_gradient: ClassVar[bool] = True
    _latest: tuple[float, float] = (1.0, 1.0)

    def weights(self, step: int) -> Weights:
        """1 and gamma."""
        return Weights(1.0, self.options.gamma)

    def imitation(self, weights: Weights) -> float | None:
        """By what became of the two gradients."""
        a, b = self._latest
        return super().imitation(Weights(a * weights.rl, b * weights.sft))

    @abstractmethod
    def shares(self, gram: Gram) -> tuple[float, float]:
        """How much of g_R and of g_S."""

    def combine(
        self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """a * g_R + b * g_S."""
        a, b = self._latest = self.shares(self._gram(rl, sft, metric))
        return {name: a * rl[name] + b * sft[name] for name in rl}

    def _gram(self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]) -> Gram:
        lengths = self._lengths(metric)
        return Gram(inner(rl, rl, lengths), inner(sft, sft, lengths), inner(rl, sft, lengths))

    def _lengths(self, metric: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        return None if self.options.metric == "plain" else metric


def inner(one: Mapping[str, Tensor], other: Mapping[str, Tensor], metric: Mapping[str, Tensor] | None) -> float:
    """<one, other> over all parameters, each coordinate times its `metric` (None: 1), summed in float64."""
    products = ((one[name] * other[name], name) for name in one)
    weighed = (each if metric is None else each * metric[name] for each, name in products)
    return sum(float(each.double().sum()) for each in weighed)
