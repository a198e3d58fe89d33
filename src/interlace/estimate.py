"""Estimate | Unresolved: the only way a figure travels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from interlace.encoding import decode_float, encode_float
from interlace.wording import decimals_between, number, significant

THIS_RUN = "this run"
"""Scope of an interval over prompts: it speaks of the weights that were measured, not of the recipe."""
OTHER_SEEDS = "this stage from this state"
"""Scope of an interval over forks and prompts: it speaks of what the stage does from one state with other seeds."""
THIS_RECIPE = "this recipe"
"""Scope of an interval over seeds: it speaks of what the recipe does when it is run again."""

MOST_SHOWN = 1e7
"""Figures from here on are written with powers of ten: their digits tell nothing."""
LEAST_SHOWN = 5e-5
"""What is smaller reads 0.0000 in the four decimals that a figure has at most."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, and how both were made.

    `level` is the interval's nominal coverage in (0, 1); `n` counts the independent units behind it (prompts or
    seeds); `method` names the estimator; `unit` the unit, e.g. ``nats/response``; `scope` what the interval speaks
    of. A figure known without error has lower = value = upper and method "exact".

    Raises ValueError if `level` is outside (0, 1), `n` negative, or the interval does not contain the value.
    """

    value: float
    lower: float
    upper: float
    level: float
    n: int
    method: str
    unit: str
    scope: str = THIS_RUN

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"level must lie in (0, 1). Got {self.level}.")
        if self.n < 0:
            raise ValueError(f"n must be a count. Got {self.n}.")
        if self.lower > self.value or self.value > self.upper:
            raise ValueError(
                f"an interval must contain its value. Got {self.value} outside [{self.lower}, {self.upper}]."
            )

    @property
    def sign(self) -> int:
        """+1 or -1 if the interval excludes 0, else 0: the sign is not resolved."""
        return int(self.lower > 0.0) - int(self.upper < 0.0)

    def covers(self, value: float) -> bool:
        """Whether `value` lies in the interval."""
        return bool(self.lower <= value <= self.upper)

    def __str__(self) -> str:
        return figure_text(self)

    def to_json(self) -> dict[str, Any]:
        """The shape of an estimate on the wire; non-finite numbers are strings."""
        return {
            "value": encode_float(self.value),
            "lower": encode_float(self.lower),
            "upper": encode_float(self.upper),
            "level": self.level,
            "n": self.n,
            "method": self.method,
            "unit": self.unit,
            "scope": self.scope,
        }


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A figure that could not be had, and why. Never printed as 0, never compared as a number."""

    reason: str

    @property
    def sign(self) -> int:
        """0: an unresolved figure has no sign."""
        return 0

    def __str__(self) -> str:
        return f"not resolved: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """``{"unresolved": reason}``."""
        return {"unresolved": self.reason}


Figure: TypeAlias = Estimate | Unresolved


def exact(value: float, unit: str, n: int = 0, level: float = 0.95) -> Estimate:
    """A figure known without sampling error: enumerated, or given."""
    return Estimate(value, value, value, level, n, "exact", unit)


def figure_from_json(data: dict[str, Any]) -> Figure:
    """The inverse of `to_json` of either kind. Raises KeyError if a field is missing."""
    if "unresolved" in data:
        return Unresolved(data["unresolved"])
    return Estimate(
        value=decode_float(data["value"]),
        lower=decode_float(data["lower"]),
        upper=decode_float(data["upper"]),
        level=float(data["level"]),
        n=int(data["n"]),
        method=data["method"],
        unit=data["unit"],
        scope=data.get("scope", THIS_RUN),
    )


def decimals(figure: Estimate) -> int:
    """Decimals worth printing, by the interval's width."""
    return decimals_between(figure.lower, figure.upper)


def value_text(figure: Estimate, signed: bool = False, digits: int | None = None) -> str:
    """The value alone, with `digits` decimals instead of its own."""
    return _end_text(figure, figure.value, signed, digits)


def interval_text(figure: Estimate, signed: bool = False, digits: int | None = None) -> str:
    """The interval in brackets; empty for an exact figure."""
    if figure.lower == figure.upper:
        return ""
    ends = (_end_text(figure, end, signed, digits) for end in (figure.lower, figure.upper))
    return f"[{', '.join(ends)}]"


def _end_text(figure: Estimate, value: float, signed: bool, digits: int | None) -> str:
    """One number of a figure. A figure that is resolved and would read 0.0000, and a very large one, is written with
    its power of ten."""
    if any(math.isfinite(end) and abs(end) >= MOST_SHOWN for end in (figure.lower, figure.value, figure.upper)):
        return significant(value, 3, signed)
    if digits is None and figure.sign and max(abs(figure.lower), abs(figure.upper)) < LEAST_SHOWN:
        return significant(value, 2, signed)
    return number(value, decimals(figure) if digits is None else digits, signed)


def significant_texts(figure: Estimate) -> tuple[str, str]:
    """Value and interval with three significant digits each, for figures of unknown scale; no interval if exact.

    >>> significant_texts(Estimate(1.2345e-5, 1e-5, 2e-5, 0.95, 4, "jackknife", "nats/weight^2"))
    ('1.23 × 10⁻⁵', '[1 × 10⁻⁵, 2 × 10⁻⁵]')
    """
    if figure.lower == figure.upper:
        return significant(figure.value), ""
    return significant(figure.value), f"[{significant(figure.lower)}, {significant(figure.upper)}]"


def figure_text(figure: Figure, signed: bool = False, unit: bool = True) -> str:
    """Value, interval and unit in one line, as every sentence and table prints them; an unresolved one says why.

    >>> figure_text(Estimate(-0.3184, -0.3655, -0.2713, 0.95, 9, "t", "nats/response"), signed=True)
    '−0.32 [−0.37, −0.27] nats/response'
    >>> print(Estimate(5.3e11, 4.5e11, 6.1e11, 0.95, 9, "t", "reward units"))
    5.3 × 10¹¹ [4.5 × 10¹¹, 6.1 × 10¹¹] reward units
    >>> print(Estimate(2.4e-6, 1.1e-6, 3.7e-6, 0.95, 9, "t", "nats/weight^2"))
    2.4 × 10⁻⁶ [1.1 × 10⁻⁶, 3.7 × 10⁻⁶] nats/weight^2
    """
    if isinstance(figure, Unresolved):
        return str(figure)
    parts = (value_text(figure, signed), interval_text(figure, signed), figure.unit if unit else "")
    return " ".join(part for part in parts if part)
