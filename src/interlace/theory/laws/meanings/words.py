"""How the numbers of a law read in a sentence: with as many digits as one needs, and with their units."""

from __future__ import annotations

import math

from interlace.wording import Number, number

SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def said(value: Number, digits: int = 3, signed: bool = False) -> str:
    """A number with so many significant digits, a power of ten where it is very small or large.

    >>> said(0.50001), said(1234.5), said(-0.00123), said(3.2e-9), said(float("inf"))
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


def nats(value: Number) -> str:
    """A change or a level of SFT loss.

    >>> nats(0.25)
    '0.25 nats/response'
    """
    return f"{said(value)} nats/response"


def size_in_nats(value: Number) -> str:
    """The same without its sign, where the words around it tell the direction."""
    return nats(abs(value))


def rl_time_text(rl_time: Number) -> str:
    """An RL time with the KL coefficient at whose optimum RL stands there.

    >>> rl_time_text(4.0), rl_time_text(0.0), rl_time_text(float("inf"))
    ('RL time 4 (KL coefficient 0.25 at its optimum)', 'RL time 0', 'RL time ∞ (no KL term)')
    """
    if rl_time == 0.0:
        return "RL time 0"
    if math.isinf(rl_time):
        return "RL time \u221e (no KL term)"
    return f"RL time {said(rl_time)} (KL coefficient {said(1.0 / rl_time)} at its optimum)"


def share(value: Number) -> str:
    """A share as a percentage.

    >>> share(0.125), share(1.0)
    ('12.5 %', '100 %')
    """
    return f"{said(100.0 * value)} %"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
