"""C2: how much of a gradient is signal, and the batch at which signal and noise are equal."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL
from interlace.statistics.jackknife import jackknife_interval
from interlace.statistics.unbiased import clipped, gram_refusal, left_out_products, mean_product


def signal_share(gram: Float[np.ndarray, "part part"], *, level: float = LEVEL) -> Figure:
    """The share of a part's mean squared norm that is signal: norm(E g)^2 / E norm(g)^2, in [0, 1].

    `gram`: inner products of at least 3 parts with each other (`inner_products`), parts of disjoint prompts.
    0: pure noise; 1: every part gives the same vector. It belongs to the size of the parts (`noise_scale` does not).
    An interval that reaches 0 is printed: that a signal is at most so large is a finding.

    >>> vectors = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    >>> signal_share(vectors @ vectors.T).value  # (4 / 6 x 0 + 2 / 6 x 2) / 2
    0.3333333333333333
    """
    refusal = gram_refusal(gram)
    if refusal is not None:
        return refusal
    diagonal = np.diagonal(gram).astype(np.float64)
    if not diagonal.sum() > 0.0:
        return Unresolved("every part's vector is 0")
    rest = (diagonal.sum() - diagonal) / (len(diagonal) - 1)
    share = mean_product(gram) / float(diagonal.mean())
    with np.errstate(divide="ignore", invalid="ignore"):  # where a single part has all there is: refused
        left_out = left_out_products(gram) / rest
    figure = jackknife_interval(
        share,
        [left_out],
        unit="fraction",
        units="parts",
        method="U-statistic, jackknife",
        level=level,
    )
    return clipped(figure, 0.0, 1.0)


def noise_scale(gram: Float[np.ndarray, "part part"], *, prompts_per_part: int, level: float = LEVEL) -> Figure:
    """trace(covariance of one prompt's gradient) / norm(mean gradient)^2, prompts (McCandlish et al. 2018, B_simple).

    The batch in which signal and noise have equal squared norms. From the signal share s of parts of b prompts:
    b (1 / s - 1). Unresolved where the share's interval reaches 0; the reason then gives the lower bound.
    """
    share = signal_share(gram, level=level)
    if isinstance(share, Unresolved):
        return share
    lower, value, upper = (
        prompts_per_part * (1.0 / s - 1.0) if s > 0.0 else math.inf for s in (share.upper, share.value, share.lower)
    )
    if math.isinf(upper):
        return Unresolved(
            f"the signal is not clearly positive: the noise scale is at least {lower:.3g} prompts, "
            "more prompts are needed for an upper bound"
        )
    return Estimate(value, lower, upper, level, share.n, share.method, "prompts")
