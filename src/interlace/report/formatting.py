"""Figures in the cells of a table: value over interval, a dash and a footnote where there is none, never a false 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from interlace.estimate import Estimate, Figure, Unresolved, decimals, interval_text, value_text
from interlace.wording import SUPERSCRIPTS, Number, number

NONE = "\u2013"

OBJECTIVES = {
    "sft_loss": ("SFT loss", "nats/response"),
    "sft_loss_per_token": ("SFT loss per token", "nats/token"),
    "sft_loss_right": ("SFT loss on right expert responses", "nats/response"),
    "sft_loss_wrong": ("SFT loss on wrong expert responses", "nats/response"),
    "reward": ("Reward", "reward"),
    "reward_lenient": ("Reward (lenient parser)", "reward"),
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


def _power(value: Number) -> str:
    exponent = math.floor(math.log10(abs(value)))
    return f"{value / 10**exponent:.1f} \u00d7 10{str(exponent).translate(SUPERSCRIPTS)}"


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
