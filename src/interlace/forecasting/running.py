"""The forecast while RL goes on: path models weighed and calibrated against what was measured so far.

SFT loss against the reward gained is a weighted sum of two path models' curves (systematic and group-normalised), of an
excess in proportion to the gain (what finite steps of a normalised optimiser cost beyond any path), of a step at the
beginning (a fresh optimiser), and of noise from look to look. Coefficients have a prior; before the first look it is
the
forecast, later the looks correct it (conjugate normal - inverse gamma, so every predictive interval is a Student t's).
The reward against steps is A (1 - exp(-(step / T)^b)) with a posterior on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting.curve import NATS, REWARD, Curve

SCOPE = "this run from here on"
"""Scope of a forecast's interval: what the same run will show later, on the same prompts."""
LEVEL = 0.95
DRAWS = 4000
TRUSTED = 0.9
"""Share of a path's whole gain up to which its curve is followed."""


class Prior(NamedTuple):
    """Mean and standard deviation of each coefficient (systematic, group-normalised, excess in nats per reward unit,
    step in nats) and the noise of a look: `noise` nats, as sure as `certainty` looks would make it."""

    mean: tuple[float, float, float, float] = (0.8, 0.2, 0.4, 0.0)
    spread: tuple[float, float, float, float] = (0.4, 0.4, 1.0, 0.03)
    noise: float = 0.05
    certainty: float = 4.0


EXPERIENCE = Prior()
"""What RL stages have shown so far."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What was measured so far, step 0 first: means over the held-out prompts, reward units and nats/response."""

    steps: Float[np.ndarray, "look"]
    reward: Float[np.ndarray, "look"]
    sft_loss: Float[np.ndarray, "look"]


@dataclass(frozen=True, slots=True)
class RunningForecast:
    """Made after `made_at` optimizer steps, of step `for_step`.

    `parity_step`: when the reward will pass the expert's; `best_stop`: the step at which R - lambda L will be greatest
    for the exchange rate that was asked for (None: none was).
    """

    made_at: int
    for_step: int
    reward: Figure
    sft_loss: Figure
    parity_step: Figure
    best_stop: Figure | None


@dataclass(frozen=True, eq=False)
class Calibration:
    """Path models weighed against the looks of a run.

    `systematic`, `grouped`: forecast curves from the run's own start; `top`: the highest reward there is.
    """

    systematic: Curve
    grouped: Curve
    looks: Looks
    top: float
    prior: Prior = EXPERIENCE

    def forecast(
        self,
        for_step: int,
        rng: np.random.Generator,
        *,
        expert_reward: float,
        exchange_rate: float | None = None,
        level: float = LEVEL,
    ) -> RunningForecast:
        """Reward and SFT loss at `for_step`, with predictive intervals, from `DRAWS` draws of the posterior."""
        made_at = int(self.looks.steps[-1])
        steps = np.unique(np.linspace(made_at, for_step, 64).round())
        gains = self._gains(steps, rng)
        losses = self._losses(gains, rng)
        rewards = self.looks.reward[0] + gains
        return RunningForecast(
            made_at=made_at,
            for_step=for_step,
            reward=_summary(rewards[:, -1] + self._reward_noise(rng), level, REWARD),
            sft_loss=_summary(losses[:, -1], level, NATS),
            parity_step=self._first_step(steps, rewards >= expert_reward, level),
            best_stop=None if exchange_rate is None else _best_step(steps, rewards - exchange_rate * losses, level),
        )

    def at_gain(self, gain: float, rng: np.random.Generator, level: float = LEVEL) -> Figure:
        """SFT loss of a look at which the reward has risen by `gain` since the start: the forecast given the reward."""
        return _summary(self._losses(np.full((DRAWS, 1), gain), rng)[:, 0], level, NATS)

    def _losses(
        self, gains: Float[np.ndarray, "draw step"], rng: np.random.Generator
    ) -> Float[np.ndarray, "draw step"]:
        """SFT loss at gains of reward: coefficients drawn once a run, noise once a draw (one look)."""
        mean, half, variance = self._posterior()
        draws = len(gains)
        noise = np.sqrt(variance.scale * variance.degrees / rng.chisquare(variance.degrees, draws))
        coefficients = mean + noise[:, None] * (rng.normal(size=(draws, mean.size)) @ half.T)
        design = self._design(gains.ravel()).reshape(*gains.shape, mean.size)
        smooth = np.einsum("dsk,dk->ds", design, coefficients)
        return self.looks.sft_loss[0] + smooth + noise[:, None] * rng.normal(size=(draws, 1))

    def _posterior(self) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k k"], _Variance]:
        """Mean of the coefficients, a square root of their covariance in units of the noise's variance, and the
        noise's scaled inverse chi-square."""
        prior = self.prior
        precision = np.diag((prior.noise / np.array(prior.spread)) ** 2)
        design = self._design(self.looks.reward[1:] - self.looks.reward[0])
        seen = self.looks.sft_loss[1:] - self.looks.sft_loss[0]
        updated = precision + design.T @ design
        mean = np.linalg.solve(updated, precision @ np.array(prior.mean) + design.T @ seen)
        misfit = ((seen - design @ mean) ** 2).sum() + (mean - prior.mean) @ precision @ (mean - prior.mean)
        degrees = prior.certainty + seen.size
        scale = (prior.certainty * prior.noise**2 + misfit) / degrees
        return mean, np.linalg.cholesky(np.linalg.inv(updated)), _Variance(float(scale), float(degrees))

    def _design(self, gains: Float[np.ndarray, "look"]) -> Float[np.ndarray, "look k"]:
        """What each coefficient multiplies at a gain of reward."""
        paths = [_change_at(curve, gains) for curve in (self.systematic, self.grouped)]
        return np.column_stack([*paths, gains, np.ones_like(gains)])

    def _gains(self, steps: Float[np.ndarray, "step"], rng: np.random.Generator) -> Float[np.ndarray, "draw step"]:
        """Draws of the reward gained at `steps`, from the posterior of its curve."""
        grid = self._reward_grid()
        chosen = rng.choice(len(grid.weight), size=DRAWS, p=grid.weight)
        return _risen(steps, grid.height[chosen, None], grid.time[chosen, None], grid.power[chosen, None])

    def _reward_noise(self, rng: np.random.Generator) -> Float[np.ndarray, "draw"]:
        """What a look's reward scatters about its curve."""
        return float(self._reward_grid().noise) * rng.normal(size=DRAWS)

    def _reward_grid(self) -> _RewardGrid:
        most = max(1e-6, self.top - float(self.looks.reward[0]))
        last = max(1.0, float(self.looks.steps[-1]))
        heights, times, powers = (
            most * np.linspace(0.02, 1.0, 40),
            last * np.geomspace(0.1, 100.0, 40),
            (0.4, 0.6, 0.8, 1.0),
        )
        height, time, power = (axis.ravel() for axis in np.meshgrid(heights, times, powers, indexing="ij"))
        seen = self.looks.reward[1:] - self.looks.reward[0]
        curves = _risen(self.looks.steps[1:], height[:, None], time[:, None], power[:, None])
        certainty, noise = 2.0, 0.01 * most
        misfit = certainty * noise**2 + ((seen - curves) ** 2).sum(axis=1)
        log_weight = -0.5 * (certainty + seen.size) * np.log(misfit)
        weight = np.exp(log_weight - special.logsumexp(log_weight))
        scatter = np.sqrt(float(weight @ misfit) / (certainty + seen.size))
        return _RewardGrid(height, time, power, weight / weight.sum(), scatter)

    def _first_step(self, steps: Float[np.ndarray, "step"], passed: np.ndarray, level: float) -> Figure:
        share = float(passed.any(axis=1).mean())
        if share < 0.5 + level / 2:
            return Unresolved(f"the reward passes the expert's by step {steps[-1]:.0f} in {share:.0%} of the forecasts")
        return _summary(steps[passed.argmax(axis=1)][passed.any(axis=1)], level, "optimizer steps")


class _Variance(NamedTuple):
    scale: float
    degrees: float


class _RewardGrid(NamedTuple):
    height: Float[np.ndarray, "node"]
    time: Float[np.ndarray, "node"]
    power: Float[np.ndarray, "node"]
    weight: Float[np.ndarray, "node"]
    noise: float


def _risen(steps: np.ndarray, height: np.ndarray, time: np.ndarray, power: np.ndarray) -> np.ndarray:
    return -height * np.expm1(-((steps / time) ** power))


def _change_at(curve: Curve, gains: Float[np.ndarray, "look"]) -> Float[np.ndarray, "look"]:
    """The curve's change of SFT loss at gains of reward; beyond its ends, and beyond `TRUSTED` of its whole gain, along
    its slope there: no run has followed a path into the corner where SFT loss has no bound."""
    grid = curve.reward - curve.reward[0]
    last = max(1, int(np.searchsorted(grid, TRUSTED * grid[-1])))
    known, change = grid[: last + 1], curve.loss_change[: last + 1]
    if known.size < 2:  # a path that has not begun
        return np.zeros_like(gains)
    slopes = [(change[j] - change[i]) / (known[j] - known[i]) for i, j in ((0, 1), (-2, -1))]
    beyond = slopes[0] * np.minimum(gains, 0.0) + slopes[1] * np.maximum(gains - known[-1], 0.0)
    return np.interp(gains, known, change) + beyond


def _best_step(steps: np.ndarray, worth: Float[np.ndarray, "draw step"], level: float) -> Figure:
    return _summary(steps[worth.argmax(axis=1)], level, "optimizer steps")


def _summary(draws: Float[np.ndarray, "draw"], level: float, unit: str) -> Figure:
    """The median with the middle `level` of the draws."""
    low, middle, high = np.quantile(draws, [0.5 - level / 2, 0.5, 0.5 + level / 2]).tolist()
    return Estimate(middle, low, high, level, draws.size, "posterior predictive", unit, SCOPE)
