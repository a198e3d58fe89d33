"""Roots of monotone functions, to the last digits."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize

RELATIVE_PRECISION = 4 * 2.0**-52
"""The finest that `scipy.optimize.brentq` accepts."""


def root_between(function: Callable[[float], float], low: float, high: float) -> float:
    """The root of `function` in [low, high], at whose ends its signs differ (Brent).

    >>> root_between(lambda x: x - 3.0, 0.0, 8.0)
    3.0
    """
    return float(optimize.brentq(function, low, high, xtol=1e-300, rtol=RELATIVE_PRECISION, maxiter=1000))


def increasing_root(function: Callable[[float], float], low: float, step: float) -> float:
    """The root of an increasing `function` in [low, inf): bracketed by doubling `step` > 0, then closed in by Brent.

    `low` itself if the function is not negative there; inf if it stays negative as far as floats go.

    >>> increasing_root(lambda x: x - 3.0, 0.0, 1.0)
    3.0
    """
    if function(low) >= 0.0:
        return low
    high = low + step
    while function(high) < 0.0:
        low, step = high, 2.0 * step
        high = low + step
        if math.isinf(high):
            return math.inf
    return root_between(function, low, high)
