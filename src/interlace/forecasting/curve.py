"""A forecast curve: SFT loss, KL and RL time against reward along a path model, each with its interval over prompts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting.paths import PromptPaths
from interlace.statistics import influence_interval

NATS, REWARD = "nats/response", "reward units"
RATE = "reward units per nat/response"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The forecast where RL has brought the reward to `reward`.

    Changes are from the start, nats/response. `implied_exchange_rate`: stopping here is right if one nat of SFT loss is
    worth that much reward (dR/dL on the path; Unresolved where SFT loss falls: no exchange rate makes it right).
    """

    reward: float
    rl_time: float
    sft_loss_change: Figure
    right: Figure
    wrong: Figure
    kl: Figure
    implied_exchange_rate: Figure


@dataclass(frozen=True, eq=False)
class Curve:
    """A path read as a function of the reward of the prompts at hand, which rises along it.

    Intervals are for prompts like these whose reward has risen by the same amount."""

    paths: PromptPaths

    @property
    def model(self) -> str:
        """The path model's name."""
        return self.paths.model

    @cached_property
    def reward(self) -> Float[np.ndarray, "time"]:
        """R at the path's points, reward units, from the start to the highest that it reaches."""
        return self.paths.mean_reward

    @cached_property
    def loss_change(self) -> Float[np.ndarray, "time"]:
        """L - L(start) at the path's points, nats/response."""
        mean = self.paths.own.loss.mean(axis=-1)
        return mean - mean[0]

    def at(self, reward: float) -> CurvePoint:
        """Read the curve at `reward`; beyond its ends everything is Unresolved."""
        refusal = self._refusal(reward)
        given = self.paths.contributions
        parts = {"sft_loss_change": given.loss, "right": given.right, "wrong": given.wrong, "kl": given.kl}
        figures = {name: refusal or self._figure(values, reward) for name, values in parts.items()}
        rate = refusal or self._implied_exchange_rate(reward)
        time = math.nan if refusal else float(np.interp(reward, *self._by_reward(self.paths.rl_time)))
        return CurvePoint(reward, time, **figures, implied_exchange_rate=rate)

    def slope(self, values: Float[np.ndarray, "time"], reward: float) -> float:
        """d(values)/dR at `reward`, from the path's points around it."""
        grid, known = self._by_reward(values)
        return float(np.interp(reward, grid, np.gradient(known, grid))) if grid.size > 1 else math.nan

    def loss_slope(self, reward: float) -> float:
        """dL/dR, nats per reward unit: what the next unit of reward costs."""
        return self.slope(self.loss_change, reward)

    def crossing(self, residual: Callable[[int], float]) -> float | None:
        """The least reward at which `residual`, taken at the path's points, turns from below 0 to 0 or more."""
        values = np.array([residual(i) for i in range(self.reward.size)])
        for i in np.flatnonzero((values[:-1] < 0.0) & (values[1:] >= 0.0)).tolist():
            share = -values[i] / (values[i + 1] - values[i])
            return float(self.reward[i] + share * (self.reward[i + 1] - self.reward[i]))
        return None

    def pseudo_values(self, values: Float[np.ndarray, "time prompt"], reward: float) -> Float[np.ndarray, "prompt"]:
        """What each prompt contributes to the change of the mean of `values` where the mean reward is `reward`: at a
        time that is matched in the reward gained, whose own error is taken along through the slope."""
        grid, position = self._by_reward(np.arange(self.reward.size, dtype=np.float64))
        place = float(np.interp(reward, grid, position))
        low = min(int(place), self.reward.size - 2) if self.reward.size > 1 else 0
        share = place - low

        def read(table: Float[np.ndarray, "time prompt"]) -> Float[np.ndarray, "prompt"]:
            return (1.0 - share) * table[low] + share * table[min(low + 1, len(table) - 1)]

        moved = read(values) - values[0]
        off = read(self.paths.reward) - self.paths.reward[0] - (reward - self.reward[0])
        slope = self.slope(values.mean(axis=-1), reward)
        return moved - (slope * off if math.isfinite(slope) else 0.0)

    def _figure(self, values: Float[np.ndarray, "time prompt"], reward: float) -> Figure:
        pseudo = self.pseudo_values(values, reward)
        method = "path model at matched reward, influence over prompts"
        return influence_interval(float(pseudo.mean()), pseudo, unit=NATS, method=method)

    def slope_pseudo_values(self, reward: float) -> Float[np.ndarray, "prompt"]:
        """What each prompt contributes to dL/dR at `reward`, nats/response per reward unit."""
        width = 0.02 * (self.reward[-1] - self.reward[0])
        low, high = (min(max(reward + side, self.reward[0]), self.reward[-1]) for side in (-width, width))
        return (self.pseudo_values(self.paths.loss, high) - self.pseudo_values(self.paths.loss, low)) / (high - low)

    def _implied_exchange_rate(self, reward: float) -> Figure:
        if not self.loss_slope(reward) > 0.0:
            return Unresolved("SFT loss does not rise here: no exchange rate makes stopping right")
        slopes = self.slope_pseudo_values(reward)
        cost = influence_interval(
            float(slopes.mean()), slopes, unit="", method="slope of the path, influence over prompts"
        )
        if not isinstance(cost, Estimate) or cost.value <= 0.0:
            return Unresolved("what a unit of reward costs is not resolved here")
        upper = 1.0 / cost.lower if cost.lower > 0.0 else math.inf
        return Estimate(1.0 / cost.value, 1.0 / cost.upper, upper, cost.level, cost.n, cost.method, RATE)

    def _refusal(self, reward: float) -> Unresolved | None:
        low, high = float(self.reward[0]), float(self.reward[-1])
        if low <= reward <= high:
            return None
        return Unresolved(f"the path goes from reward {low:.3f} to {high:.3f}")

    def _by_reward(
        self, values: Float[np.ndarray, "time"]
    ) -> tuple[Float[np.ndarray, "time"], Float[np.ndarray, "time"]]:
        """`values` where the reward has risen: a function of it."""
        rises = np.concatenate([[True], np.diff(self.reward) > 0.0])
        return self.reward[rises], values[rises]
