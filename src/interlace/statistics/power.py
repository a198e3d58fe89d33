"""The minimum detectable effect: how large a change must be for a comparison of this size to find it.

Before a run: is this held-out set, or this number of seeds, enough? A change as large is found (its interval excludes
0, on its side) in `power` of cases.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special, stats

from interlace.estimate import THIS_RECIPE, THIS_RUN, Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL

POWER = 0.8
"""How often a change of the minimum detectable size is found, unless said otherwise."""


def detectable_change(
    scatter: float, num_prompts: int, *, unit: str, power: float = POWER, level: float = LEVEL
) -> Figure:
    """The least mean change over prompts that the paired t-test finds, in the unit of `scatter`.

    `scatter`: standard deviation between prompts of their change (of `after` - `before`, not of a level).

    >>> print(detectable_change(1.0, 128, unit="nats/response"))
    0.250 nats/response
    """
    return _detectable_mean(scatter, num_prompts, "prompts", THIS_RUN, unit, power, level)


def detectable_between_seeds(
    scatter: float, num_seeds: int, *, unit: str, power: float = POWER, level: float = LEVEL
) -> Figure:
    """The least mean over seeds that `seed_interval` tells from 0, in the unit of `scatter`.

    `scatter`: standard deviation between seeds of the figure.

    >>> print(detectable_between_seeds(1.0, 3, unit="nats"))
    3.264 nats
    """
    return _detectable_mean(scatter, num_seeds, "seeds", THIS_RECIPE, unit, power, level)


def detectable_rate_change(
    flip_share: float, num_prompts: int, *, unit: str = "fraction", power: float = POWER, level: float = LEVEL
) -> Figure:
    """The least change of a rate that McNemar's exact test finds, fraction (or `unit`).

    `flip_share`: share of prompts that flip either way, in (0, 1]; the change is at most that. Exact: the sum over all
    numbers of flips of the chance that the test rejects. Unresolved if even flips that all go one way are not found.

    Raises ValueError if `flip_share` is outside (0, 1].
    """
    if not 0.0 < flip_share <= 1.0:
        raise ValueError(f"flip_share must lie in (0, 1]. Got {flip_share}.")

    def found(change: float) -> float:
        return mcnemar_power((flip_share - change) / 2, (flip_share + change) / 2, num_prompts, level)

    if num_prompts < 1 or found(flip_share) < power:
        return Unresolved(
            f"{num_prompts} prompts of which {flip_share:.3g} flip show no change with power {power:.3g}, "
            "even if all flip one way: measure more prompts"
        )
    return _exact(_root(found, power, flip_share), num_prompts, unit, THIS_RUN, "exact McNemar power", level)


def mcnemar_power(lost: float, gained: float, num_prompts: int, level: float = LEVEL) -> float:
    """The chance that McNemar's exact test finds a rise, if a prompt is `lost` and `gained` with these chances."""
    flips = np.arange(num_prompts + 1)
    share = lost + gained
    chance = stats.binom.pmf(flips, num_prompts, min(share, 1.0))
    return float(chance @ stats.binom.sf(_critical(flips, level) - 1, flips, gained / share))


def _critical(flips: Int[np.ndarray, "count"], level: float) -> Float[np.ndarray, "count"]:
    """The fewest gains among each number of flips that the test calls a rise; one more than there are if none."""
    fewest = stats.binom.isf(0.5 - level / 2, flips, 0.5) + 1.0
    return np.where(flips == 0, 1.0, fewest)


def _detectable_mean(
    scatter: float, count: int, units: str, scope: str, unit: str, power: float, level: float
) -> Figure:
    """Root in the effect of the noncentral t-test's power."""
    if not scatter >= 0.0:
        raise ValueError(f"scatter must be a standard deviation. Got {scatter}.")
    if count < 2:
        return Unresolved(f"a comparison needs at least 2 {units}, got {count}")
    quantile = float(special.stdtrit(count - 1, 0.5 + level / 2))
    shift = _root(lambda moved: 1.0 - float(special.nctdtr(count - 1, moved, quantile)), power, 10.0 + 4.0 * quantile)
    return _exact(scatter * shift / count**0.5, count, unit, scope, f"Student t power over {units}", level)


def _root(found: Callable[[float], float], power: float, largest: float) -> float:
    return float(optimize.brentq(lambda change: found(change) - power, 0.0, largest))


def _exact(value: float, count: int, unit: str, scope: str, method: str, level: float) -> Estimate:
    return Estimate(value, value, value, level, count, method, unit, scope)
