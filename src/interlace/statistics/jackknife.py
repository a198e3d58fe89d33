"""The jackknife: an interval for any figure from its values with one unit left out at a time.

Like the bootstrap it works on weights: ``left_out_weights(n) @ values`` are the means without each unit. Several groups
of units (prompts and seeds, the parts of two gradients) are left out one group after the other and their variances add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.estimate import THIS_RUN, Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, refusal_of


def left_out_weights(count: int) -> Float[np.ndarray, "unit unit"]:
    """Row i weighs all units but i equally, and i with 0; rows sum to 1.

    >>> left_out_weights(3) @ np.array([1.0, 2.0, 6.0])
    array([4. , 3.5, 1.5])
    """
    if count < 2:
        raise ValueError(f"count must be at least 2. Got {count}. Nothing is left when the only unit is left out.")
    return (1.0 - np.eye(count)) / (count - 1)


def jackknife_interval(
    point: float,
    groups: Sequence[Float[np.ndarray, "_"]],
    *,
    unit: str,
    units: str = "prompts",
    method: str = "jackknife",
    level: float = LEVEL,
    scope: str = THIS_RUN,
) -> Figure:
    """`point` with a Student t interval from its values with each unit left out, one array a group of units.

    Variance: the sum over groups of (n - 1) times the variance of the left-out values, never low on average (Efron and
    Stein 1981); degrees of freedom by Welch and Satterthwaite. `n` of the figure is the smallest group.

    For smooth figures: means, ratios, U-statistics; not quantiles. Unresolved if any value is not finite, or a group
    has fewer than 2 units.

    >>> values = np.array([1.0, 2.0, 6.0])
    >>> print(jackknife_interval(3.0, [left_out_weights(3) @ values], unit="nats"))  # of a mean: Student t
    3.00 [−3.57, 9.57] nats
    """
    refusal = next((found for group in groups if (found := refusal_of(group, units)) is not None), None)
    if refusal is not None:
        return refusal
    if not math.isfinite(point):
        return Unresolved(f"the figure itself is {point}")
    variances = [(group.size - 1) * float(group.var()) for group in groups]
    half = welch_half_width(variances, [group.size - 1 for group in groups], level)
    count = min(group.size for group in groups)
    text = f"{method} over {units}" + (f"; no variation between {units}" if half == 0.0 else "")
    return Estimate(point, point - half, point + half, level, count, text, unit, scope)


def welch_half_width(
    variances: Sequence[float], degrees: Sequence[int], level: float, variance: float | None = None
) -> float:
    """Student's quantile times the root of `variance` (default: the sum of independently estimated `variances`).

    Degrees of freedom by Welch and Satterthwaite: (sum v)^2 / sum (v^2 / degrees). 0 without variance.
    """
    total = math.fsum(variances)
    if total == 0.0:
        return 0.0
    shares = [found / total for found in variances]
    freedom = 1.0 / math.fsum(share**2 / degree for share, degree in zip(shares, degrees, strict=True))
    quantile = float(special.stdtrit(freedom, 0.5 + level / 2))
    return quantile * math.sqrt(total if variance is None else variance)
