"""Numbers that laws take: the sentence that refuses one."""

from __future__ import annotations

import math

from interlace.errors import DataError


def check_exchange_rate(exchange_rate: float, *, positive: bool = False) -> None:
    """lambda: finite and at least 0; above 0 if `positive`. Raises DataError."""
    if not 0.0 <= exchange_rate < math.inf or (positive and exchange_rate == 0.0):
        rule = "positive and finite" if positive else "at least 0 and finite"
        raise DataError(f"exchange_rate must be {rule}. Got {exchange_rate}. Say what reward a nat is worth.")


def check_positive(name: str, value: float, advice: str) -> None:
    """`value` of the argument `name`: positive and finite. Raises DataError, `advice` being its last sentence."""
    if not 0.0 < value < math.inf:
        raise DataError(f"{name} must be positive and finite. Got {value}. {advice}")
