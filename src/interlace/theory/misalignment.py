"""B7: how aligned two gradients can be, from where their energy lies, and what chance alone would give.

The leading directions of each gradient (eigenvectors of its Fisher or Gauss-Newton matrix, say) span a subspace; most
of a gradient lies in its own. If the two subspaces are far apart the gradients cannot be aligned.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from interlace.errors import DataError
from interlace.theory.landscape.figures import Figures, figure, refuse

TRACY_WIDOM_SHAPE, TRACY_WIDOM_SCALE, TRACY_WIDOM_SHIFT = 46.44604884387787, 0.18605402228279347, 9.848007781128567
"""The gamma law that has the first three moments of Tracy and Widom's law of order 1 (Chiani 2014); its distribution
function is within .0012 of it."""

ROUNDING = 1e-6
"""How far below 0 a share or a singular value may be: single-precision rounding."""


def cosine_bound(largest_singular_value: Figures, outside_sft: Figures, outside_rl: Figures) -> Figures:
    """B7: abs cos(g_S, g_R) <= cos(max(0, arccos sigma - arcsin sqrt(eps_S) - arcsin sqrt(eps_R))).

    sigma = largest singular value of U_S^T U_R (orthonormal bases, sizes may differ); `outside_sft` and `outside_rl`
    are the shares eps of the SFT and RL gradients' squared norms outside their own span. Values beyond 1 by rounding
    count as 1: the bound is then 1 and says nothing.

    No condition. Attained by some gradients of those shares wherever the bound is below 1.

    Raises DataError if an argument is negative by more than rounding.

    >>> round(cosine_bound(0.5, outside_sft=0.0, outside_rl=0.25), 12), cosine_bound(1.0, 0.0, 0.0)  # 60 - 30 degrees
    (0.866025403784, 1.0)
    """
    given = {"largest_singular_value": largest_singular_value, "outside_sft": outside_sft, "outside_rl": outside_rl}
    for name, values in given.items():
        refuse(name, values, np.asarray(np.greater_equal(values, -ROUNDING)), "be at least 0", "Measure it again.")
    sigma, eps_sft, eps_rl = (np.clip(values, 0.0, 1.0) for values in given.values())
    angle = np.arccos(sigma) - np.arcsin(np.sqrt(eps_sft)) - np.arcsin(np.sqrt(eps_rl))
    return figure(np.cos(np.maximum(0.0, angle)))


def random_subspace_cosine(dimension: int, rank_sft: int, rank_rl: int, probability: float = 0.5) -> float:
    """B7's yardstick: the quantile of the largest cosine between two independent, uniformly random subspaces.

    cos^2 is the greatest root of the Jacobi ensemble (p = smaller rank, q = larger one, d = `dimension`). Exact: 1 if
    p + q > d; Beta(q/2, (d - q)/2) if p = 1; probability^(1/(p q)) if p + q = d - 1. Approximate: at p + q = d by
    Edelman's law of the smallest singular value of a square matrix; else by Johnstone's Tracy-Widom limit of its logit.
    Relative error of the cosine against Monte Carlo: median and 95th percentile 6 % at p = 2, 3.5 % at 3, 2 % at 5, 1 %
    from 10 on; 5th percentile 50 %, 20 %, 15 % and 6 %.

    Sources: Johnstone, Ann. Statist. 36 (2008); Edelman, SIAM J. Matrix Anal. 9 (1988).

    Raises DataError unless 1 <= ranks <= dimension and 0 < probability < 1.

    >>> round(random_subspace_cosine(3, 1, 1), 12)  # in space the cosine of two lines is uniform
    0.5
    >>> random_subspace_cosine(10, 6, 5)
    1.0
    """
    _check_ranks(dimension, rank_sft, rank_rl)
    if not 0.0 < probability < 1.0:
        raise DataError(f"probability must be between 0 and 1. Got {probability}. Give 0.5 for the median.")
    return math.sqrt(_greatest_root(dimension, min(rank_sft, rank_rl), max(rank_sft, rank_rl), probability))


def _greatest_root(d: int, p: int, q: int, chance: float) -> float:
    """The quantile of cos^2 between random subspaces of ranks p <= q in d dimensions."""
    if p + q > d:  # they meet in a line
        return 1.0
    if p == 1:
        return float(special.betaincinv(0.5 * q, 0.5 * (d - q), chance))
    if p + q == d - 1:
        return float(chance ** (2.0 / (p * q)))
    if p + q == d:
        return math.exp(-((math.sqrt(1.0 - 2.0 * math.log(chance)) - 1.0) ** 2) / (p * q))
    return float(special.expit(_logit_of_greatest_root(d, p, q, chance)))


def _logit_of_greatest_root(d: int, p: int, q: int, chance: float) -> float:
    """Johnstone's location + scale x Tracy-Widom quantile, from the two angles of the ranks."""
    small, large = (2.0 * math.asin(math.sqrt((rank - 0.5) / (d - 1.0))) for rank in (p, q))
    location = 2.0 * math.log(math.tan(0.5 * (small + large)))
    sines = math.sin(small + large) ** 2 * math.sin(small) * math.sin(large)
    scale = (16.0 / ((d - 1.0) ** 2 * sines)) ** (1.0 / 3.0)
    tracy_widom = TRACY_WIDOM_SCALE * float(special.gammaincinv(TRACY_WIDOM_SHAPE, chance)) - TRACY_WIDOM_SHIFT
    return location + scale * tracy_widom


def _check_ranks(dimension: int, rank_sft: int, rank_rl: int) -> None:
    for name, rank in (("rank_sft", rank_sft), ("rank_rl", rank_rl)):
        if not 1 <= rank <= dimension:
            raise DataError(
                f"{name} must be between 1 and the dimension ({dimension}). Got {rank}. Count the basis vectors."
            )
