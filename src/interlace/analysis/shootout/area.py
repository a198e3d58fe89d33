"""Hypervolume of an arm: how much of the plane of reward and SFT loss its looks dominate, as a share of what the front
of all policies does (D9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.seen import Seen


def dominated_share(seen: Seen, limit: Limit | None, exchange_rate: float) -> float | None:
    """Area that the looks up to the common compute dominate, over the area that the front does; None without a front.

    Both within the corner of the start's reward and of the SFT loss at which all the attainable reward would not pay at
    `exchange_rate`: start's loss + (most reward - start's reward)/lambda. Looks count as they were measured, so of many
    alike the luckiest does.
    """
    if limit is None:
        return None
    low, loss = seen.start.place
    ceiling = loss + (limit.rewarded.reward_range[1] - low) / exchange_rate
    most = limit.area(low, ceiling)
    return dominated_area([look.judging.place for look in seen.looks], low, ceiling) / most if most else None


def dominated_area(places: Sequence[tuple[float, float]], low: float, ceiling: float) -> float:
    """Area of all (reward, SFT loss) that some finite place is at least as good as in both, right of `low`, under
    `ceiling`.

    >>> dominated_area([(2.0, 1.0), (1.0, 0.5)], low=0.0, ceiling=2.0)
    2.5
    """
    area, reached = 0.0, ceiling
    for reward, loss in sorted((place for place in places if np.isfinite(place).all()), reverse=True):
        if reward > low and loss < reached:
            area += (reward - low) * (reached - loss)
            reached = loss
    return area
