"""pass@k: the chance that at least one of k sampled responses is right."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from interlace.estimate import Figure
from interlace.statistics.bounded import bounded_mean_interval
from interlace.statistics.intervals import LEVEL


def pass_at_k(
    right: Int[np.ndarray, "prompt"], sampled: Int[np.ndarray, "prompt"], k: int
) -> Float[np.ndarray, "prompt"]:
    """Each prompt's pass@k, unbiased, from `right` of `sampled` responses: 1 - C(n - c, k) / C(n, k).

    The share of all groups of k among the n samples that hold a right one (Chen et al. 2021). The plain 1 - (1 - c/n)^k
    is biased low.

    Raises ValueError unless 1 <= k <= every `sampled` and 0 <= `right` <= `sampled`.

    >>> pass_at_k(np.array([0, 1, 2, 4]), np.array([4, 4, 4, 4]), 2).round(4).tolist()
    [0.0, 0.5, 0.8333, 1.0]
    """
    if k < 1 or (sampled < k).any():
        least = int(sampled.min()) if sampled.size else 0
        raise ValueError(f"k must lie between 1 and the samples of every prompt. Got {k} for {least}. Sample more.")
    if (right < 0).any() or (right > sampled).any():
        raise ValueError(
            f"right must lie in [0, sampled] for every prompt. Got {right.tolist()} of {sampled.tolist()}."
        )
    none_right = np.ones(right.shape)
    for drawn in range(k):
        none_right *= np.maximum(sampled - right - drawn, 0) / (sampled - drawn)
    return 1.0 - none_right


def mean_pass_at_k(
    right: Int[np.ndarray, "prompt"], sampled: Int[np.ndarray, "prompt"], k: int, *, level: float = LEVEL
) -> Figure:
    """pass@k over prompts, fraction: prompts are the clusters, `bounded_mean_interval` the interval.

    Two points compared on the same prompts: `sampled_change` of their `pass_at_k`.
    """
    values = pass_at_k(right, sampled, k)
    return bounded_mean_interval(values, 0.0, 1.0, unit="fraction", is_exact=False, level=level)
