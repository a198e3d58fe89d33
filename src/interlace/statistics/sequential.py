"""Betting confidence sequences: the mean of bounded values with an interval that holds at every n at once.

Look after every prompt and stop when it is enough: the level still holds, over all looks together. With `population`,
the values are drawn without replacement from a fixed held-out set of that size, and the interval closes as it runs out.
Hedged capital with predictable plug-in bets (Waudby-Smith and Ramdas 2024, sections 4 and 5): for each candidate mean,
one gambler bets that the mean is above, one that it is below, and neither expects to win if it is right; it is rejected
once either has won a factor of 2 / (1 - level).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, refusal_of

LARGEST_STAKE = 0.5
"""The share of its capital that a gambler may lose in one bet."""
CANDIDATES = 2000
"""Candidate means, closer together near 0 and 1. Ends are rounded outwards to one: by .0008 of the range at most."""


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Interval ends after each draw, nested: each lies within the one before."""

    lower: Float[np.ndarray, "*batch draw"]
    upper: Float[np.ndarray, "*batch draw"]
    level: float


def sequential_interval(
    values: Float[np.ndarray, "draw"],
    low: float,
    high: float,
    *,
    unit: str,
    population: int | None = None,
    horizon: int | None = None,
    level: float = LEVEL,
) -> Figure:
    """The mean of values in [`low`, `high`] after the last draw, with an interval that holds whenever one stops.

    See `confidence_sequence` for the conditions. A sample mean outside the nested interval is moved to its end, and
    `method` says so. Unresolved if a value is not finite, or if the intervals have nothing in common: at most once in
    1 / (1 - level) cases, or the values were not in random order.

    >>> print(sequential_interval(np.ones(40), 0.0, 1.0, unit="fraction"))
    1.00 [0.84, 1.00] fraction
    >>> print(sequential_interval(np.ones(40), 0.0, 1.0, unit="fraction", population=50))
    1.00 [0.92, 1.00] fraction
    """
    refusal = refusal_of(values, "draws", minimum=1)
    if refusal is not None:
        return refusal
    sequence = confidence_sequence(values, low, high, population=population, horizon=horizon, level=level)
    lower, upper, mean = float(sequence.lower[-1]), float(sequence.upper[-1]), float(values.mean())
    if values.size == population:
        return Estimate(mean, mean, mean, level, values.size, f"mean of all {population}", unit)
    if lower > upper:
        return Unresolved("the intervals at different n have nothing in common: draw the values in random order")
    source = "" if population is None else f" without replacement from {population}"
    note = "" if lower <= mean <= upper else ", moved to its end"
    method = f"betting confidence sequence{source}{note}"
    return Estimate(min(max(mean, lower), upper), lower, upper, level, values.size, method, unit)


def confidence_sequence(
    values: Float[np.ndarray, "*batch draw"],
    low: float,
    high: float,
    *,
    population: int | None = None,
    horizon: int | None = None,
    level: float = LEVEL,
) -> ConfidenceSequence:
    """Interval ends of the mean after each draw, along the last axis.

    Without `population` every value's mean must be the same given the values before it (independent prompts, say). With
    it, the values must be the first of a random order of the whole set (``rng.permutation``); the mean is the set's.

    `horizon`: the number of draws at which the interval shall be short, chosen before the first. It holds at every n
    all the same; at the horizon it is a fifth wider than a fixed-n interval, without one twice as wide (n = 1,000).

    Cost: about eight arrays of draws x `CANDIDATES` float64 a row (130 MB for 1,000 draws).

    Raises ValueError if a value lies outside [`low`, `high`], or there are more values than the population has.
    """
    _check(values, low, high, population)
    scaled = (values - low) / (high - low)
    candidates = np.sin(np.linspace(0.0, np.pi / 2, CANDIDATES)) ** 2
    above, below = (
        np.maximum.accumulate(capital, axis=-2) >= math.log(2 / (1 - level))
        for capital in log_capital(scaled, candidates, population=population, horizon=horizon, level=level)
    )
    lower = np.where(above, candidates, 0.0).max(axis=-1)  # the greatest mean that is rejected as too small
    upper = np.where(below, candidates, 1.0).min(axis=-1)
    if population is not None:
        lower, upper = _logical(scaled, lower, upper, population)
    return ConfidenceSequence(low + (high - low) * lower, low + (high - low) * upper, level)


def log_capital(
    values: Float[np.ndarray, "*batch draw"],
    candidates: Float[np.ndarray, "candidate"],
    *,
    population: int | None = None,
    horizon: int | None = None,
    level: float = LEVEL,
) -> tuple[Float[np.ndarray, "*batch draw candidate"], Float[np.ndarray, "*batch draw candidate"]]:
    """Log of what 1 has become, after each draw of values in [0, 1], for those who bet above and below each candidate.

    A factor is 1 + stake (x_t - m_t), m_t the mean of x_t if the candidate is true, and 1 - stake (x_t - m_t) below.
    The stakes do not look at x_t, so the product has mean 1 (Ville: it ever exceeds c with probability 1 / c at most).
    """
    mean = _conditional_means(values, candidates, population)
    stake = _stakes(values, level, horizon)[..., None]
    surprise = values[..., None] - mean
    tiny = np.finfo(float).tiny
    above = np.log1p(np.minimum(stake, LARGEST_STAKE / np.maximum(mean, tiny)) * surprise)
    below = np.log1p(-np.minimum(stake, LARGEST_STAKE / np.maximum(1.0 - mean, tiny)) * surprise)
    return above.cumsum(axis=-2), below.cumsum(axis=-2)


def _stakes(
    values: Float[np.ndarray, "*batch draw"], level: float, horizon: int | None
) -> Float[np.ndarray, "*batch draw"]:
    """sqrt(2 log(2 / alpha) / (s^2 t log(1 + t))) at draw t, s^2 from the draws before it and a prior one of 1/4.

    With a horizon, it stands for t log(1 + t).
    """
    draw = np.arange(1, values.shape[-1] + 1)
    centre = (0.5 + values.cumsum(axis=-1)) / (draw + 1)
    spread = (0.25 + ((values - centre) ** 2).cumsum(axis=-1)) / (draw + 1)
    before = np.concatenate([np.full((*values.shape[:-1], 1), 0.25), spread[..., :-1]], axis=-1)
    scale = draw * np.log1p(draw) if horizon is None else horizon
    return np.sqrt(2 * math.log(2 / (1 - level)) / (before * scale))


def _conditional_means(
    values: Float[np.ndarray, "*batch draw"], candidates: Float[np.ndarray, "candidate"], population: int | None
) -> Float[np.ndarray, "*axes candidate"]:
    """The mean of each draw given those before it if the candidate is the population's mean; in [0, 1]."""
    if population is None:
        return candidates
    seen = (values.cumsum(axis=-1) - values)[..., None]
    left = population - np.arange(values.shape[-1])[:, None]
    return np.clip((population * candidates - seen) / left, 0.0, 1.0)


def _logical(
    values: Float[np.ndarray, "*batch draw"],
    lower: Float[np.ndarray, "*batch draw"],
    upper: Float[np.ndarray, "*batch draw"],
    population: int,
) -> tuple[Float[np.ndarray, "*batch draw"], Float[np.ndarray, "*batch draw"]]:
    """No lower than if all that was not drawn were 0, no higher than if it were 1."""
    seen, left = values.cumsum(axis=-1), population - np.arange(1, values.shape[-1] + 1)
    return np.maximum(lower, seen / population), np.minimum(upper, (seen + left) / population)


def _check(values: Float[np.ndarray, "*batch draw"], low: float, high: float, population: int | None) -> None:
    if not low < high:
        raise ValueError(f"low must be less than high. Got [{low}, {high}].")
    if values.size and not (values.min() >= low and values.max() <= high):
        raise ValueError(f"values must lie in [{low}, {high}]. Got {values.min()} to {values.max()}.")
    if population is not None and values.shape[-1] > population:
        raise ValueError(f"population must be at least the number of draws. Got {population} for {values.shape[-1]}.")
