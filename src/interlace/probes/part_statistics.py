"""Figures of several parts at once: values without each part, ratios to squared norms, and bounds from intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import jackknife_interval, squared_norm


def means_left_out(values: Float[np.ndarray, "part"]) -> Float[np.ndarray, "part"]:
    """The mean without each part."""
    return (values.sum() - values) / (len(values) - 1)


def unresolved_norm(gram: Float[np.ndarray, "part part"], name: str, level: float) -> Unresolved | None:
    """Why nothing can be divided by the norm of the mean vector: its noise may be all there is."""
    figure = squared_norm(gram, unit="", level=level)
    return Unresolved(f"{name}: {figure.reason}") if isinstance(figure, Unresolved) else None


def ratio_over_parts(
    point: float,
    numerator: Float[np.ndarray, "part"],
    denominator: Float[np.ndarray, "part"],
    *,
    unit: str,
    method: str,
    level: float,
) -> Figure:
    """`point` with a jackknife interval from numerator / denominator WITHOUT each part."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = numerator / denominator
    return jackknife_interval(point, [left_out], unit=unit, units="parts", method=method, level=level)


def from_intervals(function: Callable[..., float], inputs: Mapping[str, Figure], *, unit: str, method: str) -> Figure:
    """`function` of figures, by keyword, with the least and greatest value at the corners of their intervals.

    Right for functions that are monotone in each argument. The level is what the inputs' levels leave when all of them
    must hold (Bonferroni). Unresolved, with the name, if an input is.
    """
    missing = [f"{name} is {figure}" for name, figure in inputs.items() if isinstance(figure, Unresolved)]
    if missing:
        return Unresolved("; ".join(missing))
    known = {name: figure for name, figure in inputs.items() if isinstance(figure, Estimate)}
    corners = itertools.product(*({figure.lower, figure.upper} for figure in known.values()))
    value = function(**{name: figure.value for name, figure in known.items()})
    ends = [value, *(function(**dict(zip(known, corner, strict=True))) for corner in corners)]
    if any(math.isnan(end) for end in ends):
        return Unresolved("the law has no value at a corner of its inputs' intervals")
    missed = math.fsum(1.0 - figure.level for figure in known.values() if figure.lower < figure.upper)
    count = min((figure.n for figure in known.values() if figure.lower < figure.upper), default=0)
    return Estimate(value, min(ends), max(ends), max(round(1.0 - missed, 12), 0.01), count, method, unit)
