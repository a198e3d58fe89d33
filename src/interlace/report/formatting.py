"""How figures read: as many digits as their interval deserves, true minus signs, never a bare NaN, never a false 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

from interlace.estimate import Estimate, Figure, Unresolved

Number: TypeAlias = float | int
"""A number of either kind: types are executed in tests, where an int is no float."""

MINUS, NONE = "\u2212", "\u2013"

OBJECTIVES = {
    "sft_loss": ("SFT loss", "nats/response"),
    "sft_loss_per_token": ("SFT loss per token", "nats/token"),
    "sft_loss_right": ("SFT loss on right expert responses", "nats/response"),
    "sft_loss_wrong": ("SFT loss on wrong expert responses", "nats/response"),
    "reward": ("Reward", "reward"),
}
"""Objective: its name in prose, its unit."""

WEIGHTS = {"raw": "raw", "averaged": "averaged", "line": "straight line", "predicted": "predicted"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: `text`, the interval under it, and the footnote that says why there is no figure."""

    text: str
    interval: str = ""
    note: int | None = None
    title: str = ""
    tone: str = ""


@dataclass(slots=True)
class Notes:
    """Footnotes of one table: each reason once, numbered from 1 in order of appearance."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> int:
        """The number of `reason`, which is added if it is new."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason) + 1

    def figure(self, figure: Figure, signed: bool = False, digits: int | None = None) -> Cell:
        """A figure's cell; an unresolved one is a dash with a footnote. A resolved sign is told by `tone`."""
        if isinstance(figure, Unresolved):
            return self.absent(figure.reason)
        tone = "" if not signed else "resolved" if figure.sign else "open"
        texts = value_text(figure, signed, digits), interval_text(figure, signed, digits)
        return Cell(*texts, title=provenance(figure), tone=tone)

    def change(self, before: Figure, after: Figure, change: Figure) -> tuple[Cell, Cell, Cell]:
        """The cells of a change; both ends are printed with the same decimals."""
        digits = min((decimals(end) for end in (before, after) if isinstance(end, Estimate)), default=None)
        ends = self.figure(before, digits=digits), self.figure(after, digits=digits)
        return *ends, self.figure(change, signed=True)

    def step(self, step: Number | Unresolved) -> Cell:
        """A step's cell (optimizer steps)."""
        if isinstance(step, Unresolved):
            return self.absent(step.reason)
        return Cell(number(step, 0 if float(step).is_integer() else 1))

    def absent(self, reason: str) -> Cell:
        """A dash, and the footnote that explains it."""
        return Cell(NONE, note=self.mark(reason), title=f"not resolved: {reason}", tone="absent")


def number(value: Number, decimals: int = 3, signed: bool = False) -> str:
    """A number with thousands separators and a true minus sign; non-finite ones in words or as infinity.

    >>> number(-1234.5, 1), number(0.3184, 2, signed=True), number(float("nan"))
    ('−1,234.5', '+0.32', 'not a number')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "\u221e" if value > 0 else f"{MINUS}\u221e"
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    return text.replace("-", MINUS)


def decimals(figure: Estimate) -> int:
    """Decimals worth printing: down to the interval's half width, between 2 and 4; 3 for an exact figure."""
    half_width = (figure.upper - figure.lower) / 2.0
    if not math.isfinite(half_width) or half_width <= 0.0:
        return 3
    return min(4, max(2, math.ceil(-math.log10(half_width))))


def value_text(figure: Estimate, signed: bool = False, digits: int | None = None) -> str:
    """The value alone, with `digits` decimals instead of its own."""
    return number(figure.value, decimals(figure) if digits is None else digits, signed)


def interval_text(figure: Estimate, signed: bool = False, digits: int | None = None) -> str:
    """The interval in brackets; empty for an exact figure."""
    if figure.lower == figure.upper:
        return ""
    digits = decimals(figure) if digits is None else digits
    return f"[{number(figure.lower, digits, signed)}, {number(figure.upper, digits, signed)}]"


def figure_text(figure: Figure, signed: bool = False, unit: bool = True) -> str:
    """Value, interval and unit in one line; an unresolved figure says why."""
    if isinstance(figure, Unresolved):
        return str(figure)
    parts = (value_text(figure, signed), interval_text(figure, signed), figure.unit if unit else "")
    return " ".join(part for part in parts if part)


def provenance(figure: Estimate) -> str:
    """How the figure was made: level, units behind it, estimator, scope."""
    if figure.lower == figure.upper:
        return f"{figure.unit}; {figure.method}"
    return f"{figure.level:.0%} interval, n = {figure.n}, {figure.method}, {figure.unit}; scope: {figure.scope}"


def compact(value: Number) -> str:
    """A count in thousands, millions or as powers of ten.

    >>> compact(950), compact(1_234_567), compact(3.2e15)
    ('950', '1.23 M', '3.2 × 10¹⁵')
    """
    if not math.isfinite(value) or abs(value) < 1e4:
        return number(value, 0 if float(value).is_integer() or not math.isfinite(value) else 1)
    for size, name in ((1e12, ""), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}" if name else _power(value)
    raise AssertionError(value)


_SUPERSCRIPTS = str.maketrans("0123456789", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def _power(value: Number) -> str:
    exponent = math.floor(math.log10(abs(value)))
    return f"{value / 10**exponent:.1f} \u00d7 10{str(exponent).translate(_SUPERSCRIPTS)}"


def objective_name(objective: str) -> str:
    """An objective in prose; its own name if it is not one of ours."""
    return OBJECTIVES.get(objective, (objective, ""))[0]


def weights_name(weights: str) -> str:
    """A kind of weights in prose."""
    return WEIGHTS.get(weights, weights)


def shorten(text: str, length: int = 24) -> str:
    """`text` cut to `length` characters, the cut shown.

    >>> shorten("a very long stage name", 10)
    'a very lo…'
    """
    return text if len(text) <= length else text[: length - 1] + "\u2026"
