"""The change of a reward that was sampled, several times a prompt: an interval and a p-value that agree.

Student t over prompts, where enough prompts changed for it to cover; elsewhere bounds that hold whatever the law of the
changes is, because a few prompts do not tell how much the next ones would change.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.comparison import NO_SCATTER, PairedDifference, paired_difference
from interlace.statistics.intervals import LEVEL, MINIMUM_CHANGED, MINIMUM_PROMPTS, refusal_of

FEW = "Clopper-Pearson bounds of the shares that rose and fell; no test of few changes"
TOO_FEW = Unresolved(
    f"of {MINIMUM_PROMPTS} prompts at least {MINIMUM_CHANGED} must change to tell their scatter: measure more prompts"
)
SAME = "Clopper-Pearson bound of the share that changed so"


def sampled_difference(
    before: Float[np.ndarray, "prompt"],
    after: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    width: float = 1.0,
    level: float = LEVEL,
) -> PairedDifference:
    """Mean of `after` - `before`, prompt means of sampled rewards of a range of `width`, and the p-value of no change.

    The p-value is below 1 - `level` exactly where the interval excludes 0. Fewer than 8 prompts changed, or 12
    measured: E change = E rise - E fall lies within -`width` P(fall) and `width` P(rise), each share with its
    Clopper-Pearson bound; the interval then contains 0 always, and the p-value is 1. All changed by the same: the share
    that does has its bound, the rest may do anything. Coverage: of the bounds at least `level`, of Student t as of
    `sampled_change`.

    >>> print(sampled_difference(np.zeros(32), np.repeat([0.5, 0.0], [2, 30]), unit="reward units").change)
    0.03 [−0.11, 0.21] reward units
    """
    with np.errstate(invalid="ignore"):  # inf - inf: counted as not finite
        change = after - before
    refusal = refusal_of(change, "prompts")
    if refusal is not None:
        return PairedDifference(refusal, None)
    if int((change != 0.0).sum()) < MINIMUM_CHANGED:
        return PairedDifference(_few(change, unit, width, level), 1.0, TOO_FEW)
    if np.ptp(change) == 0.0:
        return PairedDifference(_same(change, unit, width, level), _p_value_of_same(change, width), NO_SCATTER)
    if change.size < MINIMUM_PROMPTS:
        return PairedDifference(_few(change, unit, width, level), 1.0, TOO_FEW)
    return paired_difference(before, after, unit=unit, level=level)


def _few(change: Float[np.ndarray, "prompt"], unit: str, width: float, level: float) -> Estimate:
    rises, falls = (_largest_share(int((side > 0.0).sum()), change.size, level) for side in (change, -change))
    return Estimate(float(change.mean()), -width * falls, width * rises, level, change.size, FEW, unit)


def _same(change: Float[np.ndarray, "prompt"], unit: str, width: float, level: float) -> Estimate:
    share = (0.5 - level / 2) ** (1.0 / change.size)
    value = float(change[0])
    lower, upper = (max(-width, min(width, share * value + side * (1.0 - share) * width)) for side in (-1.0, 1.0))
    return Estimate(value, min(lower, value), max(upper, value), level, change.size, SAME, unit)


def _p_value_of_same(change: Float[np.ndarray, "prompt"], width: float) -> float:
    """The largest 1 - level at which `_same` still contains 0."""
    return float(min(1.0, 2.0 * (width / (width + abs(change[0]))) ** change.size))


def _largest_share(count: int, prompts: int, level: float) -> float:
    """Clopper-Pearson's upper bound at (1 - `level`) / 2."""
    return 1.0 if count == prompts else float(special.betaincinv(count + 1, prompts - count, 0.5 + level / 2))
