"""Means that were measured together, drawn as they may be: what the order of many means is judged on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def student_draws(
    rng: np.random.Generator, values: Float[np.ndarray, "unit quantity"], draws: int
) -> Float[np.ndarray, "draw quantity"]:
    """Multivariate Student t of the quantities' means, each unit having measured all of them.

    The difference of any two is then that of the paired t over units: covariance S/n, n - 1 degrees of freedom. Few
    units are thus as uncertain as they are, where drawing them anew would hardly scatter. Raises ValueError for fewer
    than 2 units.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"values must have 2 units or more. Got {count}. Measure more.")
    mean = values.mean(axis=0)
    scatter = rng.standard_normal((draws, count)) @ ((values - mean) / np.sqrt(count * (count - 1)))
    freedom = rng.chisquare(count - 1, size=(draws, 1)) / (count - 1)
    return np.asarray(mean + scatter / np.sqrt(freedom))
