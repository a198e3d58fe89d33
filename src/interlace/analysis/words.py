"""How figures and stages are put into words: with the digits and signs of the report's tables."""

from __future__ import annotations

from interlace.estimate import Estimate, Figure, decimals, figure_text, value_text

STAGE_WORDS = {
    "sft": "SFT",
    "rl": "RL",
    "hybrid": "Hybrid training",
    "merge": "Merging",
    "preference": "Preference training",
    "training": "Training",
}


def signed(figure: Figure, unit: bool = True) -> str:
    """A change with its sign and interval.

    >>> signed(Estimate(0.318, 0.27, 0.366, 0.95, 9, "t", "nats/response"))
    '+0.32 [+0.27, +0.37] nats/response'
    """
    return figure_text(figure, signed=True, unit=unit)


def value(figure: Figure, digits: int | None = None) -> str:
    """The bare value, where its interval stands elsewhere in the sentence."""
    return value_text(figure, digits=digits) if isinstance(figure, Estimate) else "?"


def from_to(before: Figure, after: Figure) -> str:
    """Both ends of a change, with the same decimals."""
    digits = min((decimals(end) for end in (before, after) if isinstance(end, Estimate)), default=None)
    return f"from {value(before, digits)} to {value(after, digits)}"
