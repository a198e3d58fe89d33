"""How numbers read: as many digits as their interval deserves, true minus signs, never a bare NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Number: TypeAlias = float | int
"""A number of either kind: types are executed in tests, where an int is no float."""

MINUS = "\u2212"
SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def number(value: Number, decimals: int = 3, signed: bool = False) -> str:
    """A number with thousands separators and a true minus sign; non-finite ones in words or as infinity.

    What rounds to 0 has no sign.

    >>> number(-1234.5, 1), number(0.3184, 2, signed=True), number(float("nan")), number(-1e-9, signed=True)
    ('−1,234.5', '+0.32', 'not a number', '0.000')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "\u221e" if value > 0 else f"{MINUS}\u221e"
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    return text.replace("-", MINUS) if text.strip("+-0.,") else text.lstrip("+-")


def significant(value: Number, digits: int = 3, signed: bool = False) -> str:
    """A number of any size with so many significant digits, a power of ten where it is very small or large.

    >>> significant(0.50001), significant(1234.5), significant(-0.00123), significant(3.2e-9), significant(math.inf)
    ('0.5', '1,234', '−0.00123', '3.2 × 10⁻⁹', '∞')
    """
    if value == 0.0 or not math.isfinite(value):
        return number(value, 0, signed)
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if not -4 <= exponent < 7:
        shown = _trimmed(number(float(mantissa), digits - 1, signed))
        return f"{shown} \u00d7 10{str(exponent).translate(SUPERSCRIPTS)}"
    return _trimmed(number(value, max(0, digits - 1 - exponent), signed))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def p_value_text(p_value: Number) -> str:
    """A p-value with two digits; below what is worth telling apart it is only said to be so.

    >>> p_value_text(0.0312), p_value_text(1e-9)
    ('0.031', '< 0.0001')
    """
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def decimals_between(lower: Number, upper: Number) -> int:
    """Decimals worth printing: down to the interval's half width, between 2 and 4; 3 for an exact figure.

    An interval that excludes 0 shows it: its end towards 0 does not round to 0 if 4 decimals can help it.

    >>> decimals_between(0.27, 0.37), decimals_between(-0.051, -0.003)
    (2, 3)
    """
    half_width = (upper - lower) / 2.0
    if not math.isfinite(half_width) or half_width <= 0.0:
        return 3
    from_zero = max(lower, -upper)
    finest = min(half_width, from_zero) if from_zero > 0.0 else half_width
    return min(4, max(2, math.ceil(-math.log10(finest))))


def duration(seconds: Number | None) -> str:
    """Seconds as people say them.

    >>> duration(42.4), duration(130), duration(5400), duration(None)
    ('42 s', '2 min', '1.5 h', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def size(num_bytes: Number | None) -> str:
    """Bytes in binary units.

    >>> size(2048), size(3.5 * 2**30), size(None)
    ('2 KiB', '3.5 GiB', 'unknown')
    """
    if num_bytes is None:
        return "unknown"
    for exponent, unit in ((3, "GiB"), (2, "MiB")):
        if num_bytes >= 1024**exponent:
            return f"{num_bytes / 1024**exponent:.{1 if exponent == 3 else 0}f} {unit}"
    return f"{num_bytes / 1024:.0f} KiB"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun, which is in the plural unless there is one of it.

    >>> counted(1, "look"), counted(1200, "fork"), counted(2, "fork of this arm", "forks of this arm")
    ('1 look', '1,200 forks', '2 forks of this arm')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Words in a row.

    >>> listed(["rl"]), listed(["rl", "hpt"]), listed(["rl", "hpt", "vee"])
    ('rl', 'rl and hpt', 'rl, hpt and vee')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
