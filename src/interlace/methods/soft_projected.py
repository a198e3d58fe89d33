"""Softly projected: one gradient is projected off the other's mean, by as much as their conflict is told from noise.

With the SFT loss kept the update is g_R + b g_S. The expected SFT loss stays, to first order, at b = -P/D with P = <E
g_R, E g_S> and D = |E g_S|^2. A batch's own products, as `projected` has them, are noisy in P and too large in D. Here
both are means over the updates before, of products of gradients whose batches are drawn independently: <g_R, g_S> of
one update, and <g_S, g_S'> of two in a row (C2). The new gradients have no part in them, so that nothing is chosen by
its noise.

P is shrunk by the share of its square that its error does not explain, 1 - error^2/P^2 or 0 (as James and Stein's
positive part): the plug-in estimate of the multiple that is nearest to the true P on average. So a conflict that noise
alone would show takes little off, and a resolved one all. No projection where P > 0, nor where the interval of D
reaches 0: a mean SFT gradient that is not seen cannot be projected off. It is thus RL beside the least weight of
imitation that is measured to keep the SFT loss. |b g_S| is at most |g_R|, as of any projection. What an update changes
is in the products with the one before (`statistics.successive`): steps that overshoot make D too small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from interlace.estimate import Unresolved
from interlace.methods.base import MethodOptions, Plan
from interlace.methods.combining import Gram, inner
from interlace.methods.projected import Projected, ProjectedOptions
from interlace.statistics.running_mean import RunningMean

if TYPE_CHECKING:
    from torch import Tensor


class SoftProjectedOptions(ProjectedOptions):
    """Of the method `soft_projected`."""

    decay: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Weight of the past in the averages, an update."""


class SoftProjected(Projected):
    """g_R + b g_S, b from products over the updates before, shrunk by what of them is noise."""

    name: ClassVar[str] = "soft_projected"
    sentence: ClassVar[str] = "the RL gradient, projected off the mean SFT gradient as far as a conflict is resolved"
    source: ClassVar[str] = "interlace: D12 by C2's products"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "GRPO and an SFT step, three gradients in memory"
    takes: ClassVar[type[MethodOptions]] = SoftProjectedOptions
    needs_fresh_batches: ClassVar[bool] = True

    def __init__(self, options: SoftProjectedOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.both, self.norm = RunningMean(options.decay), RunningMean(options.decay)
        self._before: dict[str, Tensor] = {}

    @property
    def weight(self) -> float:
        """b, without its bound."""
        norm = self.norm.figure("")
        if self.both.value >= 0.0 or isinstance(norm, Unresolved) or norm.lower <= 0.0:
            return 0.0
        return -self.both.signal * self.both.value / norm.value

    def shares(self, gram: Gram) -> tuple[float, float]:
        """By what the updates before have shown."""
        projected, kept = (gram.rl, gram.sft) if self.keeps_sft else (gram.sft, gram.rl)
        return self._shares(min(self.weight, math.sqrt(projected / kept)) if kept > 0.0 else 0.0)

    def combine(
        self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """g_R + b g_S; then their products count."""
        combined = super().combine(rl, sft, metric)
        lengths, kept = self._lengths(metric), sft if self.keeps_sft else rl
        self.both = self.both.added(inner(rl, sft, lengths))
        if self._before:
            before = {name: each.to(kept[name]) for name, each in self._before.items()}
            self.norm = self.norm.added(inner(kept, before, lengths))
        self._before = {name: each.detach().clone() for name, each in kept.items()}
        return combined

    @property
    def state(self) -> dict[str, Any]:
        """Both averages."""
        return {"both": self.both.to_json(), "norm": self.norm.to_json()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self.both, self.norm = self.both.from_json(state["both"]), self.norm.from_json(state["norm"])

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The latest gradient of the loss that is kept."""
        return self._before

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with it."""
        self._before = dict(tensors)
