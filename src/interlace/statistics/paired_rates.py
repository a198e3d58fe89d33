"""The change of a rate between two points, on the same prompts, right or wrong once each: exact."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, special

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.comparison import mcnemar
from interlace.statistics.intervals import LEVEL

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
"""Gauss-Legendre nodes and weights on [-1, 1]."""


def rate_change(
    before: Bool[np.ndarray, "prompt"],
    after: Bool[np.ndarray, "prompt"],
    *,
    unit: str = "fraction",
    level: float = LEVEL,
) -> Figure:
    """Share right `after` minus share right `before`: positive means a rise.

    Excludes 0 exactly when McNemar's exact test rejects at 1 - `level` (`mcnemar`), and covers the prompts that did not
    flip too: the share of gains among flips (conditional, Clopper-Pearson) and the share of flips among prompts are
    melded (Fay and Lumbard 2021). Coverage at least `level`, by enumeration (tests).

    Of the flips alone: ``rate_interval(gained, lost + gained, kind="clopper_pearson")``. Several samples a prompt:
    `sampled_difference`. Unresolved without prompts.

    >>> print(rate_change(np.array([True] * 6 + [False] * 14), np.zeros(20, dtype=bool)))
    −0.30 [−0.54, −0.02] fraction
    """
    if before.size == 0:
        return Unresolved("no prompts")
    flips = mcnemar(before, after)
    lower, upper = rate_change_ends(flips.lost, flips.gained, before.size, level)
    change = (flips.gained - flips.lost) / before.size
    return Estimate(change, min(lower, change), max(upper, change), level, before.size, "melded exact McNemar", unit)


def rate_change_ends(lost: int, gained: int, prompts: int, level: float) -> tuple[float, float]:
    """The interval of P(gained) - P(lost) from the counts among `prompts`."""
    tail = 0.5 - level / 2
    return _lower_end(lost, gained, prompts, tail), -_lower_end(gained, lost, prompts, tail)


def _lower_end(lost: int, gained: int, prompts: int, tail: float) -> float:
    """The `tail` quantile of q (2 p - 1): p the share of gains among flips, q of flips among prompts.

    Both are drawn from Clopper-Pearson's confidence distributions, each on the side that makes the product small: the
    lower one for p; for q the lower one where 2 p > 1, else the upper one.
    """
    shares, weights = _gain_shares(lost, gained)

    def excess(change: float) -> float:
        return _below(change, shares, weights, lost + gained, prompts) - tail

    return -1.0 if excess(-1.0) >= 0.0 else float(optimize.brentq(excess, -1.0, 1.0))


def _gain_shares(lost: int, gained: int) -> tuple[Float[np.ndarray, "node"], Float[np.ndarray, "node"]]:
    """Nodes of p ~ Beta(gained, lost + 1) and their probabilities, on either side of 1/2; p = 0 without gains."""
    if gained == 0:
        return np.zeros(1), np.ones(1)
    split = float(special.betainc(gained, lost + 1, 0.5))
    ranks = np.concatenate([split * (NODES + 1) / 2, split + (1 - split) * (NODES + 1) / 2])
    return special.betaincinv(gained, lost + 1, ranks), np.concatenate([split * WEIGHTS, (1 - split) * WEIGHTS]) / 2


def _below(
    change: float, shares: Float[np.ndarray, "node"], weights: Float[np.ndarray, "node"], flips: int, prompts: int
) -> float:
    """Probability that q (2 p - 1) <= `change`."""
    slope = 2.0 * shares - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.where(slope == 0.0, np.inf, change / slope)
    rising = _at_most(bound, flips, prompts - flips + 1) if flips else np.ones_like(bound)
    falling = 1.0 - _at_most(bound, flips + 1, prompts - flips) if flips < prompts else (bound <= 1.0) * 1.0
    return float(weights @ np.where(slope > 0.0, rising, falling))


def _at_most(bound: Float[np.ndarray, "node"], first: int, second: int) -> Float[np.ndarray, "node"]:
    """Probability that Beta(first, second) <= `bound`."""
    return special.betainc(first, second, np.clip(bound, 0.0, 1.0))
