"""The prompt-clustered bootstrap, as a matrix of weights: resampled means are one product, ``weights @ values``.

Use one matrix for all figures of a task, so that their resamples are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL

Endpoints: TypeAlias = Callable[[float, float, float], tuple[float, float]]

ENDPOINTS: Mapping[str, Endpoints] = {
    "basic": lambda point, low, high: (2 * point - high, 2 * point - low),
    "percentile": lambda point, low, high: (low, high),
}
"""(point, lower quantile, upper quantile) to an interval. Basic follows a shift of the resamples; percentile keeps
figures in their range."""


def prompt_weights(rng: np.random.Generator, num_prompts: int, resamples: int) -> Float[np.ndarray, "resample prompt"]:
    """How much each prompt counts in each resample: drawn with replacement, rows sum to 1. 8 bytes an entry.

    Without prompts the rows are empty.
    """
    if num_prompts == 0:
        return np.zeros((resamples, 0))
    counts = rng.multinomial(num_prompts, np.full(num_prompts, 1.0 / num_prompts), size=resamples)
    return counts / num_prompts


def bootstrap_interval(
    samples: Float[np.ndarray, "resample"],
    point: float,
    *,
    num_prompts: int,
    unit: str,
    kind: Literal["basic", "percentile"] = "percentile",
    level: float = LEVEL,
) -> Figure:
    """`point` with an interval from the statistic's value in each resample of prompts.

    Unresolved if the point or any resample is not finite (the count is said), if there are fewer than 2 prompts, or
    too few resamples for the level's quantiles (20 / (1 - level)). An interval that would miss its own point is
    stretched to it, and `method` says so.
    """
    refusal = _refusal(samples, point, num_prompts, level)
    if refusal is not None:
        return refusal
    low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2]).tolist()
    lower, upper = ENDPOINTS[kind](point, low, high)
    note = "" if lower <= point <= upper else ", stretched to its point"
    method = f"{kind} bootstrap over prompts, {samples.size} resamples{note}"
    return Estimate(point, min(lower, point), max(upper, point), level, num_prompts, method, unit)


def _refusal(samples: Float[np.ndarray, "resample"], point: float, num_prompts: int, level: float) -> Unresolved | None:
    if not np.isfinite(point):
        return Unresolved(f"the figure itself is {point}")
    bad = int(samples.size - np.isfinite(samples).sum())
    if bad:
        return Unresolved(f"{bad} of {samples.size} resamples are not finite")
    if num_prompts < 2:
        return Unresolved(f"an interval needs at least 2 prompts, got {num_prompts}")
    needed = round(20 / (1 - level))
    return (
        Unresolved(f"{samples.size} resamples are too few for level {level}: {needed} are needed")
        if samples.size < needed
        else None
    )
