"""How figures and stages are put into words."""

from __future__ import annotations

from interlace.estimate import Estimate, Figure

ROUNDING = 1e-6
"""Below this a figure counts as 0 in words."""
STAGE_WORDS = {"sft": "SFT", "rl": "RL"}


def signed(figure: Figure, unit: bool = True) -> str:
    """A change with its sign and interval: ``+0.318 [+0.270, +0.366] nats/response``.

    >>> signed(Estimate(0.318, 0.27, 0.366, 0.95, 9, "t", "nats/response"))
    '+0.318 [+0.270, +0.366] nats/response'
    """
    if not isinstance(figure, Estimate):
        return str(figure)
    text = f"{_plus(figure.value)} [{_plus(figure.lower)}, {_plus(figure.upper)}]"
    return f"{text} {figure.unit}" if unit else text


def _plus(number: float) -> str:
    if ROUNDING <= abs(number) < 5e-4:  # three decimals would show nothing
        return f"{number:+.1e}"
    return f"{round(number, 3) + 0.0:+.3f}"  # + 0.0: no "-0.000"


def value(figure: Figure) -> str:
    """The bare value, where its interval stands elsewhere in the sentence."""
    return _plus(figure.value).removeprefix("+") if isinstance(figure, Estimate) else "?"
