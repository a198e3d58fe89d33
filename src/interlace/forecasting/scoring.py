"""Forecasts judged afterwards: error, coverage, interval score, and skill against forecasts that cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting.running import LEVEL, Looks


class Later(NamedTuple):
    """The look that is forecast, as far as a forecast may be told of it: its step, the reward that came there, and the
    KL to the stage's start (nats/response; NaN where it was not measured)."""

    step: int
    reward: float
    kl: float


Baseline = Callable[[Looks, Later], Figure]
"""SFT loss at a later look, from the looks so far, nats/response."""
METHOD = "least squares over the looks so far"


@dataclass(frozen=True, slots=True)
class Score:
    """One forecast of SFT loss beside what came, nats/response.

    `relative_error`: the absolute error over the range that SFT loss had in the stage; `interval_score` (Winkler 1972;
    Gneiting and Raftery 2007): the interval's width, and 2/alpha times what the truth lies outside of it; less is
    better.
    """

    forecast: Estimate
    truth: float
    spread: float

    @property
    def error(self) -> float:
        """Forecast minus truth, nats/response."""
        return self.forecast.value - self.truth

    @property
    def relative_error(self) -> float:
        """|error| over the range of SFT loss in the stage; inf where it did not move."""
        return abs(self.error) / self.spread if self.spread > 0.0 else np.inf

    @property
    def is_covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.forecast.covers(self.truth)

    @property
    def interval_score(self) -> float:
        """Nats/response."""
        low, high = self.forecast.lower, self.forecast.upper
        outside = max(0.0, low - self.truth) + max(0.0, self.truth - high)
        return high - low + 2.0 / (1.0 - self.forecast.level) * outside


def skill(scores: Sequence[Score], baseline: Sequence[Score]) -> float:
    """1 - mean interval score / that of the baseline on the same stages, each over the range of SFT loss in its stage:
    0 is no better, 1 perfect, below 0 worse.

    NaN where there is nothing to compare, or the baseline had no fault.
    """
    if not scores or len(scores) != len(baseline):
        return np.nan
    ours, theirs = (float(np.mean([each.interval_score / each.spread for each in side])) for side in (scores, baseline))
    return 1.0 - ours / theirs if theirs > 0.0 else np.nan


def persistence(looks: Looks, later: Later) -> Figure:
    """SFT loss stays where it was last seen, give or take what it has moved by from look to look."""
    if looks.steps.size < 3:
        return Unresolved("persistence needs three looks to know how far SFT loss moves")
    moves = np.diff(looks.sft_loss)
    ahead = (later.step - looks.steps[-1]) / np.diff(looks.steps).mean()
    half = stats.t.ppf(0.5 + LEVEL / 2, moves.size) * np.sqrt((moves**2).mean() * ahead)
    return _estimate(float(looks.sft_loss[-1]), float(half), looks, "persistence, a random walk's interval")


def linear_in_steps(looks: Looks, later: Later) -> Figure:
    """The expert responses' log-probabilities go on along their straight line in steps."""
    design = np.stack([np.ones_like(looks.steps), looks.steps], axis=-1)
    return _regressed(design, looks, np.array([1.0, later.step]))


def linear_in_reward(looks: Looks, later: Later) -> Figure:
    """Each unit of reward costs what it has cost so far, from the start on."""
    gains = looks.reward[1:] - looks.reward[0]
    return _regressed(gains[:, None], looks, np.array([later.reward - looks.reward[0]]), from_start=True)


def quadratic_in_kl(looks: Looks, later: Later) -> Figure:
    """SFT loss as a quadratic function of the KL to the start (RL's Razor, Shenfeld et al. 2025)."""
    if looks.kl is None or not np.isfinite([*looks.kl[1:], later.kl]).all():
        return Unresolved("the KL to the start was not measured at every look")
    known = looks.kl[1:]
    return _regressed(np.stack([known, known**2], axis=-1), looks, np.array([later.kl, later.kl**2]), from_start=True)


BASELINES: Mapping[str, Baseline] = {
    "persistence": persistence,
    "linear in steps": linear_in_steps,
    "linear in reward": linear_in_reward,
    "quadratic in KL": quadratic_in_kl,
}
"""What a forecast must beat. The last two are told the reward, or the KL, that came."""


def _regressed(
    design: Float[np.ndarray, "look k"], looks: Looks, at: Float[np.ndarray, "k"], from_start: bool = False
) -> Figure:
    """Least squares with its predictive interval (Student t); `from_start`: of the change since the first look."""
    origin = float(looks.sft_loss[0]) if from_start else 0.0
    seen = looks.sft_loss[1:] - origin if from_start else looks.sft_loss
    spare = len(design) - design.shape[1]
    if spare < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return Unresolved("too few looks for a line with an interval")
    weights, *_ = np.linalg.lstsq(design, seen, rcond=None)
    variance = ((seen - design @ weights) ** 2).sum() / spare
    leverage = at @ np.linalg.inv(design.T @ design) @ at
    half = stats.t.ppf(0.5 + LEVEL / 2, spare) * np.sqrt(variance * (1.0 + leverage))
    return _estimate(origin + float(at @ weights), float(half), looks, METHOD)


def _estimate(value: float, half: float, looks: Looks, method: str) -> Estimate:
    return Estimate(value, value - half, value + half, LEVEL, looks.steps.size, method, "nats/response")
