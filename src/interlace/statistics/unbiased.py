"""C2: norms and angles of mean vectors (gradients) with the noise's share taken off.

The squared norm of a mean of noisy vectors is too large by the trace of their covariance over their number; products of
*different* parts are not. A part is the mean vector of some prompts of its own: parts share no prompt and have equal
size. Everything is computed from inner products (`inner_products`, or a Gram matrix accumulated while the vectors pass
by), because a handful of gradients of a language model do not fit in memory together.

Intervals are jackknifed over parts. In simulation over 3 to 16 parts they cover in 93 % of cases or more where the
noise has 4 directions of like size or more (gradients have many), in 86 % at worst where it has one.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.clustered import crossed_interval
from interlace.statistics.intervals import LEVEL, refusal_of
from interlace.statistics.jackknife import jackknife_interval

BLOCK = 2**20
"""Dimensions that are converted to float64 together: 8 MiB a part, whatever the size of the model."""
MINIMUM_PARTS = 3
"""Parts without which a product of different parts has no jackknife: with one left out, two must stay."""


def inner_products(
    left: Float[np.ndarray, "left dim"], right: Float[np.ndarray, "right dim"]
) -> Float[np.ndarray, "left right"]:
    """Inner products of each left part's vector with each right part's, in float64, `BLOCK` dimensions at a time."""
    products = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        products += left[:, block].astype(np.float64) @ right[:, block].astype(np.float64).T
    return products


def squared_norm(gram: Float[np.ndarray, "part part"], *, unit: str, level: float = LEVEL) -> Figure:
    """Squared norm of the mean vector: the mean of the products of different parts (a U-statistic, unbiased).

    `gram`: inner products of at least 3 parts with each other; its diagonal holds the noise and is not read.

    Unresolved where the interval's lower end is not above 0: a half-product that is not clearly positive is no norm.

    >>> vectors = np.array([[2.0, 0.1], [2.1, 0.0], [1.9, -0.1], [2.0, 0.0]])
    >>> print(squared_norm(inner_products(vectors, vectors), unit="squared nats"))
    4.00 [3.47, 4.52] squared nats
    """
    figure = cross_product(gram, unit=unit, level=level)
    if isinstance(figure, Unresolved) or figure.lower > 0.0:
        return figure
    return _not_positive(figure, "the squared norm")


def cross_product(gram: Float[np.ndarray, "part part"], *, unit: str, level: float = LEVEL) -> Figure:
    """What `squared_norm` is resolved from: the mean product of different parts with its interval, of either sign."""
    refusal = gram_refusal(gram)
    if refusal is not None:
        return refusal
    left_out = left_out_products(gram)
    return jackknife_interval(
        float(left_out.mean()), [left_out], unit=unit, units="parts", method="U-statistic, jackknife", level=level
    )


def inner_product(cross: Float[np.ndarray, "left right"], *, unit: str, level: float = LEVEL) -> Figure:
    """Inner product of two mean vectors from prompts that no left part and right part share; positive means aligned.

    The mean of all products; the interval counts the parts of both sides as random (`crossed_interval`). Shared prompts
    would add their noise's covariance. In simulation it covers in 94 % or more from 3 parts a side on.

    >>> cross = np.array([[1.0, 1.2, 1.1], [0.9, 1.0, 1.1], [1.1, 1.1, 1.4]])
    >>> print(inner_product(cross, unit="squared nats"))
    1.10 [0.89, 1.31] squared nats
    """
    return crossed_interval(
        cross,
        rows="left parts",
        columns="right parts",
        unit=unit,
        method="mean product, two-way Student t",
        level=level,
    )


def projection(
    right: Float[np.ndarray, "right right"],
    cross: Float[np.ndarray, "left right"],
    *,
    unit: str,
    level: float = LEVEL,
) -> Figure:
    """Inner product over the right vector's squared norm: how far the left mean goes per step along the right one.

    `right`: Gram matrix of the right parts; `cross`: left parts with right parts; no part shares a prompt with another.
    Both in one metric: with a preconditioner P in every product it is D15's dL/dR (positive: what raises R raises L).

    Unresolved where the squared norm is.

    >>> right, left = np.array([[1.0, 0.0]] * 3), np.array([[0.5, 2.0]] * 3)
    >>> projection(inner_products(right, right), inner_products(left, right), unit="nats per reward").value
    0.5
    """
    norm = squared_norm(right, unit="")
    if isinstance(norm, Unresolved):
        return norm
    by_left, by_right = _left_out_means(cross, axis=0), _left_out_means(cross, axis=1)
    groups = by_left / norm.value, by_right / left_out_products(right)
    value = float(cross.mean(dtype=np.float64)) / norm.value
    return jackknife_interval(value, groups, unit=unit, units="parts", method="U-statistic, jackknife", level=level)


def cosine(
    left: Float[np.ndarray, "left left"],
    right: Float[np.ndarray, "right right"],
    cross: Float[np.ndarray, "left right"],
    *,
    level: float = LEVEL,
) -> Figure:
    """Cosine of two mean vectors without the noise's attenuation: inner product over the root of the U-statistic norms.

    `left`, `right`: Gram matrices of the parts of each; `cross`: left parts with right parts. No part shares a prompt
    with another. The plain cosine of two means is smaller by sqrt(signal share) of both.

    Unresolved where one of the norms is (at 95 %, whatever `level`), or where the whole interval lies beyond 1. Value
    and ends are clipped to [-1, 1]. In simulation it covers, where it is printed, in 95 % or more with 30 noise
    directions, in 90 % at worst with 4.
    """
    for name, gram in (("left", left), ("right", right)):
        norm = squared_norm(gram, unit="")
        if isinstance(norm, Unresolved):
            return Unresolved(f"{name} vector: {norm.reason}")
    norms = mean_product(left), mean_product(right)
    with np.errstate(invalid="ignore"):  # nan where a left-out norm is negative: refused
        groups = (
            _left_out_means(cross, axis=0) / np.sqrt(left_out_products(left) * norms[1]),
            _left_out_means(cross, axis=1) / np.sqrt(norms[0] * left_out_products(right)),
        )
    value = float(cross.mean(dtype=np.float64)) / math.sqrt(norms[0] * norms[1])
    return clipped(
        jackknife_interval(value, groups, unit="cosine", units="parts", method="disattenuated, jackknife", level=level),
        -1.0,
        1.0,
    )


def mean_product(gram: Float[np.ndarray, "part part"]) -> float:
    """Mean inner product of different parts: the mean of the entries off the diagonal."""
    count = len(gram)
    return float(gram.sum(dtype=np.float64) - np.trace(gram, dtype=np.float64)) / (count * (count - 1))


def left_out_products(gram: Float[np.ndarray, "part part"]) -> Float[np.ndarray, "part"]:
    """`mean_product` without part i, for each i: the pairs that hold i are taken off. Their mean is `mean_product`."""
    count = len(gram)
    pairs = gram.sum(axis=1, dtype=np.float64) - np.diagonal(gram)
    return (pairs.sum() - 2.0 * pairs) / ((count - 1) * (count - 2))


def _left_out_means(cross: Float[np.ndarray, "left right"], axis: int) -> Float[np.ndarray, "part"]:
    """The mean of all products without each part of `axis`."""
    means = cross.mean(axis=1 - axis, dtype=np.float64)
    return (means.sum() - means) / (len(means) - 1)


def gram_refusal(gram: Float[np.ndarray, "part part"]) -> Unresolved | None:
    """Why a Gram matrix has no jackknife: products that are not finite, or fewer than `MINIMUM_PARTS`."""
    return refusal_of(gram.ravel(), "inner products", minimum=0) or refusal_of(
        np.diagonal(gram), "parts", MINIMUM_PARTS
    )


def _not_positive(figure: Estimate, name: str) -> Unresolved:
    interval = f"{figure.value:.3g} [{figure.lower:.3g}, {figure.upper:.3g}]"
    return Unresolved(f"{name} is not clearly positive, {interval} from {figure.n} parts: measure more prompts")


def clipped(figure: Figure, least: float, greatest: float) -> Figure:
    """`figure` in its range; Unresolved if its interval has no point in it."""
    if isinstance(figure, Unresolved):
        return figure
    if figure.lower > greatest or figure.upper < least:
        beyond = f"[{figure.lower:.3g}, {figure.upper:.3g}] lies outside [{least:g}, {greatest:g}]"
        return Unresolved(f"the interval {beyond}: measure more prompts, shared by no two parts")
    value, lower, upper = (min(max(end, least), greatest) for end in (figure.value, figure.lower, figure.upper))
    note = "" if value == figure.value else ", clipped to its range"
    return Estimate(value, lower, upper, figure.level, figure.n, figure.method + note, figure.unit, figure.scope)
