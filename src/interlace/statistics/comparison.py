"""Two points compared on the same prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, paired_change, transformed
from interlace.statistics.power import detectable_change

NO_SCATTER = Unresolved("every prompt changed by the same amount, which tells no scatter")


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A paired change, and the two-sided p-value of no change (None where the change is unresolved).

    `detectable`: the least change that a comparison of this scatter and size finds (`power`), at the change's own level
    with no other comparison beside it; None where the change is unresolved.
    """

    change: Figure
    p_value: float | None
    detectable: Figure | None = None


@dataclass(frozen=True, slots=True)
class Flips:
    """Prompts that were right and became wrong (`lost`), and the other way (`gained`); McNemar's exact p-value."""

    lost: int
    gained: int
    p_value: float


def paired_difference(
    before: Float[np.ndarray, "prompt"], after: Float[np.ndarray, "prompt"], *, unit: str, level: float = LEVEL
) -> PairedDifference:
    """Mean of `after` - `before` over the same prompts, with the p-value that goes with its interval (`tested`)."""
    change = paired_change(before, after, unit=unit, level=level)
    return tested(change, after - before) if isinstance(change, Estimate) else PairedDifference(change, None)


def tested(change: Figure, influence: Float[np.ndarray, "prompt"]) -> PairedDifference:
    """A change as of `paired_change` and its two-sided p-value: the larger of the paired t-test's and of that
    with the skewness taken off.

    `influence`: as of `influence_interval`, of the prompts that are counted. The p-value is below 1 - level exactly
    where the interval excludes 0.
    """
    if not isinstance(change, Estimate):
        return PairedDifference(change, None)
    if change.upper == change.lower:
        return PairedDifference(change, 1.0 if change.value == 0.0 else 0.0, NO_SCATTER)
    scatter = float(influence.std(ddof=1))
    detectable = detectable_change(scatter, change.n, unit=change.unit, level=change.level)
    statistic = change.value / scatter * change.n**0.5
    nearest = min(abs(statistic), abs(transformed(statistic, influence)))
    return PairedDifference(change, float(2 * special.stdtr(change.n - 1, -nearest)), detectable)


def mcnemar(before: Bool[np.ndarray, "prompt"], after: Bool[np.ndarray, "prompt"]) -> Flips:
    """Exact McNemar test of right/wrong answers to the same prompts: are losses and gains equally likely?

    >>> mcnemar(np.array([True] * 6 + [False]), np.array([False] * 6 + [False]))
    Flips(lost=6, gained=0, p_value=0.03125)
    """
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    p_value = float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return Flips(lost, gained, p_value)
