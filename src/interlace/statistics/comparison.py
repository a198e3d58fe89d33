"""Two points compared on the same prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, paired_change
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
    """Mean of `after` - `before` over the same prompts, with the paired t-test's p-value."""
    return tested(paired_change(before, after, unit=unit, level=level))


def tested(change: Figure) -> PairedDifference:
    """A change with a Student t interval, and the two-sided p-value that goes with it."""
    if not isinstance(change, Estimate):
        return PairedDifference(change, None)
    half = (change.upper - change.lower) / 2.0
    if half == 0.0:
        return PairedDifference(change, 1.0 if change.value == 0.0 else 0.0, NO_SCATTER)
    error = half / float(special.stdtrit(change.n - 1, 0.5 + change.level / 2))
    detectable = detectable_change(error * change.n**0.5, change.n, unit=change.unit, level=change.level)
    return PairedDifference(change, float(2 * special.stdtr(change.n - 1, -abs(change.value / error))), detectable)


def mcnemar(before: Bool[np.ndarray, "prompt"], after: Bool[np.ndarray, "prompt"]) -> Flips:
    """Exact McNemar test of right/wrong answers to the same prompts: are losses and gains equally likely?

    >>> mcnemar(np.array([True] * 6 + [False]), np.array([False] * 6 + [False]))
    Flips(lost=6, gained=0, p_value=0.03125)
    """
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    p_value = float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return Flips(lost, gained, p_value)
