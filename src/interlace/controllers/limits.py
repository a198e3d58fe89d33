"""A figure against a limit that the user names: which end of its interval decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from interlace.estimate import Estimate, Figure

When: TypeAlias = Literal["exceeded", "possible"]
"""Which end of the interval must pass the limit: the lower (it is exceeded) or the upper (that cannot be excluded)."""


def less(figure: Figure, limit: float) -> Figure:
    """The figure with its interval, less a number known exactly."""
    if not isinstance(figure, Estimate):
        return figure
    return replace(figure, value=figure.value - limit, lower=figure.lower - limit, upper=figure.upper - limit)


def beyond(excess: Estimate, when: When) -> bool:
    """Whether the end that `when` asks for lies above 0."""
    return (excess.lower if when == "exceeded" else excess.upper) > 0.0
