"""A figure against a limit that the user names: which end of its interval decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from interlace.estimate import Estimate, Figure, figure_text
from interlace.wording import significant

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


def against(excess: Estimate, what: str, limit: float) -> str:
    """How a figure stands to `what` of size `limit`, in words, from its excess over it.

    >>> against(Estimate(0.12, 0.05, 0.2, 0.95, 9, "t", "nats/response"), "the budget", 0.5)
    'it is above the budget of 0.5 by 0.12 [0.05, 0.20]'
    >>> against(Estimate(0.01, -0.02, 0.04, 0.95, 9, "t", "nats/response"), "the budget", 0.5)
    'it may be above the budget of 0.5 (by +0.01 [−0.02, +0.04])'
    """
    bound = f"{what} of {significant(limit)}"
    if excess.sign > 0:
        return f"it is above {bound} by {figure_text(excess, unit=False)}"
    return f"it may be above {bound} (by {figure_text(excess, signed=True, unit=False)})"
