"""Controls of an adaptive method: what another does whose share of imitation is the mean that the method came to."""

from __future__ import annotations

from interlace.methods.base import MethodOptions


class MatchedOptions(MethodOptions):
    """Of methods with one constant share of imitation."""

    like: str | None = None
    """An earlier hybrid stage: the mean share of imitation of its updates takes the place of the method's own. What
    that stage is worth beyond it, its method owes to adapting."""
