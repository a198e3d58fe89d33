"""B4: how far the SFT loss must have grown at a distance from its minima."""

from __future__ import annotations

import numpy as np

from interlace.theory.landscape.figures import Bounds, Figures, check, figure


def growth_bounds(pl_constant: Figures, smoothness: Figures, distance: Figures) -> Bounds:
    """B4: mu dist^2/2 <= L(theta) - L* <= l dist^2/2, nats; `distance` is that to argmin L, a SET.

    Moving along argmin L costs nothing: the distance to one particular minimum bounds from above only.

    Conditions: below, PL along the SFT descent from theta (not only on the RL path that led there); above, smoothness
    l on the segment to the nearest minimum. Constants of one region have mu <= l; bounds that cross say that these are
    not.

    Raises DataError if `pl_constant` is not positive, or another argument is negative.

    >>> growth_bounds(pl_constant=0.5, smoothness=2.0, distance=2.0)
    Bounds(lower=1.0, upper=4.0)
    """
    check(pl_constant=pl_constant, smoothness=smoothness, distance=distance)
    half_square = 0.5 * np.square(distance)
    return Bounds(figure(pl_constant * half_square), figure(smoothness * half_square))
