"""D12: combining the two gradients, to first order, from their norms and their cosine.

g1 = grad L and g2 = -grad R are both to be descended; c = cos(g1, g2); norms in the metric in which the update is
taken. A float goes in and a float comes out; arrays broadcast.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError

Figures: TypeAlias = float | Float[np.ndarray, "..."]


class DescentWindow(NamedTuple):
    """D12: the weights a of g2 with which -(g1 + a g2) lowers both objectives: lower < a < upper."""

    lower: Figures
    upper: Figures


class DescentRates(NamedTuple):
    """D12: how fast a direction -d lowers SFT loss and raises reward: <g1, d> and <g2, d>."""

    sft: Figures
    reward: Figures


class LeastNorm(NamedTuple):
    """D12: the shortest d between g1 and g2, `sft_share` g1 + (1 - `sft_share`) g2, and its `norm`."""

    sft_share: Figures
    norm: Figures


def descent_window(cosine: Figures, norm_sft: Figures, norm_rl: Figures) -> DescentWindow:
    """D12: for c = `cosine` < 0, -(g1 + a g2) lowers SFT loss and raises reward iff -c n1/n2 < a < n1/(-c n2).

    Weights a >= 0 are meant. n1 = `norm_sft`, n2 = `norm_rl`. (0, inf) if c >= 0: every true mixture does. Empty
    (lower = upper) at c = -1: the point is Pareto stationary.

    Raises DataError if a cosine is outside [-1, 1] or a norm is not positive and finite.

    >>> descent_window(-0.5, 2.0, 1.0)
    DescentWindow(lower=1.0, upper=4.0)
    """
    conflict, ratio = np.maximum(0.0, -_cosine(cosine)), _norm("norm_sft", norm_sft) / _norm("norm_rl", norm_rl)
    upper = np.divide(ratio, conflict, out=np.full(np.broadcast(ratio, conflict).shape, np.inf), where=conflict > 0.0)
    return DescentWindow(_plain(conflict * ratio), _plain(upper))


def pcgrad_rates(cosine: Figures, norm_sft: Figures, norm_rl: Figures) -> DescentRates:
    """D12: PCGrad (each gradient projected off the other, then added): n_i^2 (1 - c^2) each if c < 0.

    Without conflict it adds the gradients: n_i^2 + c n1 n2. Both are positive but at c = -1. Raises DataError as
    `descent_window`.

    >>> pcgrad_rates(-0.5, 2.0, 1.0)
    DescentRates(sft=3.0, reward=0.75)
    """
    c, n1, n2 = _cosine(cosine), _norm("norm_sft", norm_sft), _norm("norm_rl", norm_rl)
    kept, shared = 1.0 - np.minimum(c, 0.0) ** 2, np.maximum(c, 0.0) * n1 * n2
    return DescentRates(_plain(n1 * n1 * kept + shared), _plain(n2 * n2 * kept + shared))


def projected_rates(cosine: Figures, norm_sft: Figures, norm_rl: Figures) -> DescentRates:
    """D12: g2 projected off g1 alone: SFT loss stays, reward rises at n2^2 (1 - c^2); any c.

    Project in the optimiser's metric, or project the update: a projection before Adam is undone by it. Raises DataError
    as `descent_window`.
    """
    c, n1, n2 = _cosine(cosine), _norm("norm_sft", norm_sft), _norm("norm_rl", norm_rl)
    gained = n2 * n2 * (1.0 - c * c)
    return DescentRates(_plain(np.zeros(np.broadcast(gained, n1).shape)), _plain(gained + 0.0 * n1))


def least_norm_direction(cosine: Figures, norm_sft: Figures, norm_rl: Figures) -> LeastNorm:
    """D12: the shortest d on the segment from g1 to g2 (MGDA): <g1, d> and <g2, d> are both at least norm(d)^2.

    The shorter gradient itself if the other reaches beyond it (c >= the smaller norm over the larger). norm 0 only at
    c = -1. Raises DataError as `descent_window`.

    >>> least_norm_direction(0.0, 1.0, 1.0).sft_share
    0.5
    """
    c, n1, n2 = _cosine(cosine), _norm("norm_sft", norm_sft), _norm("norm_rl", norm_rl)
    product = n1 * n2
    apart = (n1 - n2) ** 2 + 2.0 * (1.0 - c) * product  # norm(g1 - g2)^2
    same = apart == 0.0
    share = np.clip((n2 * n2 - c * product) / np.where(same, 1.0, apart), 0.0, 1.0)
    inside = (share > 0.0) & (share < 1.0)
    norm = np.where(inside, product * np.sqrt((1.0 - c * c) / np.where(same, 1.0, apart)), np.minimum(n1, n2))
    return LeastNorm(_plain(share), _plain(norm))


def step_limit(inner_product: Figures, smoothness: Figures, update_norm: Figures) -> Figures:
    """D12: an l-smooth objective falls under the step -eta d while 0 < eta < 2 <g, d>/(l norm(d)^2).

    `inner_product` <g, d> > 0, l = `smoothness` > 0, `update_norm` = norm(d) > 0. Attained by the quadratic of
    curvature l along d. Raises DataError if one is not positive and finite.

    >>> step_limit(1.0, 4.0, 0.5)
    2.0
    """
    slope, curvature = _norm("inner_product", inner_product), _norm("smoothness", smoothness)
    return _plain(2.0 * slope / (curvature * _norm("update_norm", update_norm) ** 2))


def _plain(values: Figures) -> Figures:
    """A float if it is one figure."""
    return float(values) if np.ndim(values) == 0 else values


def _cosine(value: Figures) -> Figures:
    if not (np.abs(value) <= 1.0).all():
        raise DataError(f"cosine must be in [-1, 1]. Got {value}. Clip what rounding put outside.")
    return np.asarray(value, dtype=np.float64)


def _norm(name: str, value: Figures) -> Figures:
    if not ((np.asarray(value) > 0.0) & np.isfinite(value)).all():
        raise DataError(f"{name} must be positive and finite. Got {value}. A figure not resolved from 0 has no window.")
    return np.asarray(value, dtype=np.float64)
