"""Known second hand (GAC was read in its abstract alone): the weight of imitation from measured gradient noise.

Of (1 - mu) g_R + mu g_S as an estimate of the true RL gradient, the squared error is (1 - mu)^2 s_R^2 + mu^2 (s_S^2 +
D^2): s^2 the noise of each side, D the distance of their means. It is least at mu = s_R^2/(s_R^2 + s_S^2 + D^2).
Imitation is leant on as far as RL is noisy and both agree. Means are exponential averages over updates, noise the
scatter about them, in the optimizer's metric; mu moves by at most `largest_change` an update.

A mean of gradients with weights w has the noise q s^2, q = sum w^2. It begins with one gradient, q = 1, and an update
makes q into decay^2 q + (1 - decay)^2, which settles at (1 - decay)/(1 + decay). The squared distance of a new gradient
from the mean of those before it is (1 + q) s^2 on average, that of the two sides' means D^2 + q (s_R^2 + s_S^2): at
every update, where the true gradients stay as they are and all batches are drawn independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Plan, Weights
from interlace.methods.combining import CombiningOptions, inner

if TYPE_CHECKING:
    from torch import Tensor

SIDES = ("rl", "sft")


class NoiseAwareOptions(CombiningOptions):
    """Of the method `noise_aware`."""

    decay: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Weight of the past in the averages, an update."""
    largest_change: float = Field(default=0.05, gt=0.0, le=1.0)
    """How far mu may move in one update."""
    begin: float = Field(default=0.5, ge=0.0, le=1.0)
    """mu before noise is known: at the first two updates."""


class NoiseAware(Method):
    """mu = s_R^2/(s_R^2 + s_S^2 + D^2), smoothed."""

    name: ClassVar[str] = "noise_aware"
    sentence: ClassVar[str] = "the weight of imitation follows gradient noise on both sides and their disagreement"
    source: ClassVar[str] = "in the manner of GAC (arXiv 2605.26184), known second hand"
    cost: ClassVar[str] = "GRPO and an SFT step, four gradients in memory"
    takes: ClassVar[type[MethodOptions]] = NoiseAwareOptions
    splits_gradient: ClassVar[bool] = True

    def __init__(self, options: NoiseAwareOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.mu = options.begin
        self.noise: dict[str, float] = {}
        self.mean: dict[str, dict[str, Tensor]] = {}
        self.left = 1.0

    def weights(self, step: int) -> Weights:
        """1 and gamma; `combine` weighs."""
        return Weights(1.0, self.options.gamma)

    def imitation(self, weights: Weights) -> float | None:
        """By mu."""
        return super().imitation(Weights((1.0 - self.mu) * weights.rl, self.mu * weights.sft))

    def combine(
        self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """(1 - mu) g_R + mu g_S, with mu as noise was up to here."""
        if len(self.noise) == len(SIDES):
            self._turn(metric)
        mixed = {name: (1.0 - self.mu) * rl[name] + self.mu * sft[name] for name in rl}
        has_means, decay = bool(self.mean), self.options.decay
        for side, gradient in zip(SIDES, (rl, sft), strict=True):
            self._follow(side, gradient, metric)
        if has_means:
            self.left = decay**2 * self.left + (1.0 - decay) ** 2
        return mixed

    def _turn(self, metric: Mapping[str, Tensor]) -> None:
        apart = {name: (mean - self.mean["sft"][name]).to(metric[name]) for name, mean in self.mean["rl"].items()}
        noise = self.noise["rl"] + self.noise["sft"]
        by_noise = self.left * noise  # the means' own, which puts them apart where nothing else does
        total = noise + max(0.0, inner(apart, apart, self._metric(metric)) - by_noise)
        wanted = self.noise["rl"] / total if total > 0.0 else self.mu
        change = self.options.largest_change
        self.mu += min(change, max(-change, wanted - self.mu))

    def _follow(self, side: str, gradient: Mapping[str, Tensor], metric: Mapping[str, Tensor]) -> None:
        """Scatter about the mean of before (a new gradient differs from it by its own noise and what is left of it in
        the mean), then the mean."""
        decay, before = self.options.decay, self.mean.get(side)
        if before is None:
            self.mean[side] = {name: each.detach().clone() for name, each in gradient.items()}
            return
        apart = {name: each - before[name].to(each) for name, each in gradient.items()}
        scatter = inner(apart, apart, self._metric(metric)) / (1.0 + self.left)
        known = self.noise.get(side)
        self.noise[side] = scatter if known is None else decay * known + (1.0 - decay) * scatter
        self.mean[side] = {name: mean.to(apart[name]) + (1.0 - decay) * apart[name] for name, mean in before.items()}

    def _metric(self, metric: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        return None if self.options.metric == "plain" else metric

    @property
    def state(self) -> dict[str, Any]:
        """mu, both noises, and the share of them that is left in the means."""
        return {"mu": self.mu, "noise": dict(self.noise), "left": self.left}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them; of a state that was kept before the share was, with the one that it comes to."""
        decay = self.options.decay
        self.mu, self.left = float(state["mu"]), float(state.get("left", (1.0 - decay) / (1.0 + decay)))
        self.noise = {side: float(value) for side, value in state["noise"].items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Both mean gradients."""
        return {f"{side}/{name}": each for side, mean in self.mean.items() for name, each in mean.items()}

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with them."""
        for key, each in tensors.items():
            side, name = key.split("/", 1)
            self.mean.setdefault(side, {})[name] = each
