"""Many comparisons at once: adjusted p-values, and intervals that hold all together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from interlace.estimate import Estimate, Figure
from interlace.statistics.bootstrap import prompt_weights
from interlace.statistics.intervals import LEVEL, mean_interval

Adjustment: TypeAlias = Literal["holm", "benjamini_hochberg"]
RESAMPLES = 2000


def holm(p_values: Float[np.ndarray, "comparison"]) -> Float[np.ndarray, "comparison"]:
    """Holm (1979): reject where the result is <= alpha, and *any* true null is rejected with probability alpha at most.

    Any dependence between the comparisons is allowed.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    remaining = np.arange(len(p_values), 0, -1)
    return _unsorted(np.maximum.accumulate(p_values[order] * remaining), order)


def benjamini_hochberg(p_values: Float[np.ndarray, "comparison"]) -> Float[np.ndarray, "comparison"]:
    """Benjamini and Hochberg (1995): of what is rejected at alpha, a share of alpha at most is true on average.

    For independent or positively dependent comparisons.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    return _unsorted(np.minimum.accumulate(scaled[::-1])[::-1], order)


ADJUSTMENTS: Mapping[Adjustment, Callable[[Float[np.ndarray, "_"]], Float[np.ndarray, "_"]]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
}


def adjusted(p_values: list[float | None], kind: Adjustment = "holm") -> list[float | None]:
    """Adjusted p-values in the same order; None (an unresolved comparison) stays None and counts as no comparison.

    Raises ValueError if a p-value is outside [0, 1].
    """
    known = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((known >= 0.0) & (known <= 1.0)).all():
        raise ValueError(f"p_values must lie in [0, 1]. Got {known.tolist()}.")
    found = iter(ADJUSTMENTS[kind](known).tolist())
    return [None if p is None else next(found) for p in p_values]


def simultaneous_intervals(
    changes: Float[np.ndarray, "comparison prompt"],
    *,
    rng: np.random.Generator,
    unit: str,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> list[Figure]:
    """Mean of each row with Student t intervals that hold all together in `level` of cases.

    `changes`: one row a comparison, measured on the same prompts. The level of each comes from `simultaneous_level`. A
    row that is unresolved leaves the level of the others to them.
    """
    finite = np.isfinite(changes).all(axis=1)
    each = simultaneous_level(changes[finite], rng=rng, level=level, resamples=resamples)
    method = f"paired Student t over prompts, {int(finite.sum())} comparisons at {level:.0%} together"
    return [mean_interval(row, unit=unit, method=method, level=each) for row in changes]


def together(figure: Estimate, comparisons: int) -> Estimate:
    """A Student t interval widened so that `comparisons` like it hold together at its level (Bonferroni)."""
    freedom, tail = max(1, figure.n - 1), (1.0 - figure.level) / 2.0
    ratio = float(special.stdtrit(freedom, tail / comparisons) / special.stdtrit(freedom, tail))
    below, above = ratio * (figure.value - figure.lower), ratio * (figure.upper - figure.value)
    method = figure.method if comparisons == 1 else f"{figure.method}, {comparisons} together (Bonferroni)"
    return replace(figure, lower=figure.value - below, upper=figure.value + above, method=method)


def simultaneous_level(
    changes: Float[np.ndarray, "comparison prompt"],
    *,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> float:
    """The level of each interval with which all hold together in `level` of cases: from `level` to Bonferroni's.

    The quantile of the greatest studentised deviation among resamples of prompts, so that comparisons that go together
    (neighbouring checkpoints) cost less than Bonferroni's 1 - (1 - level) / comparisons.
    """
    comparisons, prompts = changes.shape
    bonferroni = 1.0 - (1.0 - level) / max(1, comparisons)
    spread = changes.std(axis=1, ddof=1) if prompts > 1 else np.zeros(comparisons)
    if comparisons < 2 or not spread.any():
        return bonferroni
    deviation = (changes - changes.mean(axis=1, keepdims=True))[spread > 0.0] / spread[spread > 0.0, None]
    largest = np.abs(prompt_weights(rng, prompts, resamples) @ deviation.T).max(axis=1)
    critical = float(np.quantile(largest, level)) * prompts / math.sqrt(prompts - 1)
    return float(min(bonferroni, max(level, 2.0 * special.ndtr(critical) - 1.0)))


def _unsorted(
    values: Float[np.ndarray, "comparison"], order: Int[np.ndarray, "comparison"]
) -> Float[np.ndarray, "comparison"]:
    result = np.empty_like(values)
    result[order] = np.minimum(values, 1.0)
    return result
