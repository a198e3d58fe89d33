"""The sum of means of samples that have nothing to do with each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure
from interlace.statistics.intervals import LEVEL, refusal_of
from interlace.statistics.jackknife import welch_half_width


def sum_of_means_interval(
    samples: Sequence[Float[np.ndarray, "_"]], *, unit: str, level: float = LEVEL, units: str = "prompts"
) -> Figure:
    """Sum of the samples' means; Student t with Welch's degrees of freedom. Unresolved as `mean_interval`.

    >>> print(sum_of_means_interval([np.array([0.0, 1.0, 2.0]), np.array([3.0, 4.0, 5.0])], unit="nats"))
    5.00 [2.73, 7.27] nats
    """
    for values in samples:
        refusal = refusal_of(values, units)
        if refusal is not None:
            return refusal
    value = math.fsum(float(values.mean()) for values in samples)
    variances = [float(values.var(ddof=1)) / values.size for values in samples]
    half = welch_half_width(variances, [values.size - 1 for values in samples], level)
    method = f"Student t over {units} of {len(samples)} independent samples"
    return Estimate(value, value - half, value + half, level, min(map(len, samples)), method, unit)
