"""Forecasts scored afterwards: error, bias, coverage, interval score, and skill against forecasts that cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure
from interlace.forecasting.running import Looks

Baseline = Callable[[Looks, int, float], float]
"""SFT loss at a step, from the looks so far and the reward that was reached there: one value, nats/response."""


@dataclass(frozen=True, slots=True)
class Score:
    """One forecast of SFT loss beside what came, nats/response.

    `relative_error`: the absolute error over the range of SFT loss in the stage; `interval_score` (Winkler; Gneiting
    and Raftery 2007): the interval's width plus 2/alpha times what the truth lies outside of it, less is better.
    """

    forecast: float
    truth: float
    relative_error: float
    covered: bool | None
    interval_score: float


def score(forecast: Figure | float, truth: float, spread: float) -> Score | None:
    """Score one forecast; a bare number has no interval: its score is that of an interval without width, and it covers
    nothing. None for a forecast that was not made (Unresolved)."""
    if isinstance(forecast, Estimate):
        value, lower, upper, alpha = forecast.value, forecast.lower, forecast.upper, 1.0 - forecast.level
    elif isinstance(forecast, float):
        value, lower, upper, alpha = forecast, forecast, forecast, 0.05
    else:
        return None
    outside = max(0.0, lower - truth) + max(0.0, truth - upper)
    return Score(
        forecast=value,
        truth=truth,
        relative_error=abs(value - truth) / spread if spread > 0.0 else np.inf,
        covered=lower <= truth <= upper if upper > lower else None,
        interval_score=upper - lower + 2.0 / alpha * outside,
    )


def persistence(looks: Looks, step: int, reward: float) -> float:
    """SFT loss stays where it was last seen."""
    return float(looks.sft_loss[-1])


def linear_in_steps(looks: Looks, step: int, reward: float) -> float:
    """The straight line through the looks so far (least squares), in steps; with one look it is persistence."""
    if looks.steps.size < 2:
        return persistence(looks, step, reward)
    slope, level = np.polyfit(looks.steps, looks.sft_loss, 1)
    return float(level + slope * step)


def linear_in_reward(looks: Looks, step: int, reward: float) -> float:
    """The line from the start in the reward gained, as if each unit cost what it has cost so far."""
    gains = looks.reward - looks.reward[0]
    if not (gains[1:] ** 2).sum() > 0.0:
        return persistence(looks, step, reward)
    price = float((gains * (looks.sft_loss - looks.sft_loss[0])).sum() / (gains**2).sum())
    return float(looks.sft_loss[0] + price * (reward - looks.reward[0]))


BASELINES: Mapping[str, Baseline] = {
    "persistence": persistence,
    "linear in steps": linear_in_steps,
    "linear in reward": linear_in_reward,
}
"""What a forecast must beat."""


def quadratic_in_kl(kl: Float[np.ndarray, "look"], losses: Float[np.ndarray, "look"], at: float) -> float:
    """RL's Razor: SFT loss as a quadratic function of the KL to the start, through the start, read at `at` nats."""
    known = np.column_stack([kl, kl**2])
    coefficients, *_ = np.linalg.lstsq(known, losses - losses[0], rcond=None)
    return float(losses[0] + coefficients @ [at, at**2])


def skill(scores: Sequence[Score], baseline: Sequence[Score]) -> float:
    """1 - (mean interval score)/(that of the baseline): 0 is no better, 1 is perfect. NaN without a baseline's
    error."""
    reference = float(np.mean([each.interval_score for each in baseline]))
    return 1.0 - float(np.mean([each.interval_score for each in scores])) / reference if reference > 0.0 else np.nan
