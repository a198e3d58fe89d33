"""Coverage by simulation: how often an interval holds the truth that made the data."""

from __future__ import annotations

import numpy as np

from interlace.estimate import Estimate

REPEATS = 2000


def coverage(figures, truth):
    """Share of resolved figures that cover `truth`."""
    assert all(isinstance(figure, Estimate) for figure in figures)
    return float(np.mean([figure.covers(truth) for figure in figures]))


def is_nominal(share):
    """Within 93 and 97 % for a 95 % interval."""
    return 0.93 <= share <= 0.97
