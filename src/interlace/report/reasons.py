"""Why a figure is not resolved, and what an unusual one means, as a reader of the report would say it."""

from __future__ import annotations

import re

from interlace.estimate import Estimate
from interlace.wording import MINUS

NUMBERS = r"(?P<numbers>\S+ \[[^\]]*\])"
WORDS = (
    ("left vector", "gradient of the SFT loss"),
    ("right vector", "gradient of the reward"),
    ("sft_loss", "SFT loss"),
    ("pl_constant", "PL constant"),
    ("outside_sft", "share of the SFT gradient outside"),
    ("outside_rl", "share of the reward's gradient outside"),
    (
        rf"the squared norm is not clearly positive, {NUMBERS} from (?P<parts>\d+) parts",
        r"not told from its noise (squared length \g<numbers>, \g<parts> parts of the prompts)",
    ),
    (r"([a-z]+)_([a-z]+)", r"\1 \2"),
    (r"(?<=[\s\[(])-(?=\d)", MINUS),
)
"""What reasons call things, as patterns, and what a reader calls them."""
UNBOUNDED = "\u221e: at these measured values, or at an end of their intervals, the law sets no limit"
BACKWARDS = (
    "a negative RL time: responses that earn less became likelier, as when SFT takes back what RL did; where the "
    "interval holds 0 it may be noise"
)


def in_users_words(reason: str) -> str:
    """A reason without names of code or of mathematics that stand nowhere else.

    >>> in_users_words("left vector: the squared norm is not clearly positive, 1.5 [-0.3, 3.3] from 12 parts: wait")
    'gradient of the SFT loss: not told from its noise (squared length 1.5 [−0.3, 3.3], 12 parts of the prompts): wait'
    """
    for pattern, text in WORDS:
        reason = re.sub(pattern, text, reason)
    return "; ".join(dict.fromkeys(reason.split("; ")))


def meaning_of(quantity: str, figure: Estimate) -> str | None:
    """What a figure that would puzzle a reader means; None for an ordinary one."""
    if figure.upper == float("inf") or figure.lower == float("-inf"):
        return UNBOUNDED
    is_rl_time = "rl_time" in quantity.partition("/")[0]
    return BACKWARDS if is_rl_time and figure.value < 0.0 else None
