"""How the numbers of a law read in a sentence: with as many digits as one needs, and with their units."""

from __future__ import annotations

import math

from interlace.wording import Number, significant

said = significant
"""How a law's numbers read: as everywhere."""


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
