"""C8: when a law holds, is contradicted, or cannot be said to be either."""

from __future__ import annotations

from dataclasses import dataclass

from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, Unresolved

SMALL = 0.5
"""What a condition sets to 0 counts as small if its interval ends below this share of the predicted change: the sign of
the change is then the law's to decide, and the other sign speaks against it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and in a few words why."""

    verdict: str
    reason: str


def judge_sign(prediction: Figure, measurement: Figure, condition_met: bool) -> Judgement:
    """The sign of a predicted change against the measured one.

    Where a sign is not resolved there is no verdict. `condition_met`: what the law's condition sets to 0 (the off-path
    part, the distance from the mixture line) is resolved small; only then does a failed sign contradict the law.
    """
    for name, figure in (("the predicted change", prediction), ("the measured change", measurement)):
        if figure.sign == 0:
            return Judgement(NOT_RESOLVED, f"{name} is {_unresolved(figure)}")
    agreed = prediction.sign == measurement.sign
    sign = "the sign agreed" if agreed else "the sign was the other one"
    if not condition_met:
        return Judgement(OUTSIDE, sign)
    return Judgement(HOLDS if agreed else CONTRADICTS, sign)


def is_small(deviation: Figure, prediction: Figure) -> bool:
    """Whether the whole interval of `deviation` lies within `SMALL` of the predicted change."""
    if not (isinstance(deviation, Estimate) and isinstance(prediction, Estimate)):
        return False
    return max(abs(deviation.lower), abs(deviation.upper)) < SMALL * abs(prediction.value)


def off_path_condition(off_path: Figure) -> str:
    """The condition of every law on the RL path, as measured."""
    return (
        f"the policy stays on the RL path: the off-path part (A10) is {signed(off_path)}, small if its interval ends "
        f"below {SMALL} of the predicted change"
    )


def off_path_words(judgement: Judgement, off_path: Figure) -> str:
    """What the off-path part adds to a judgement's reason."""
    if judgement.verdict == NOT_RESOLVED:
        return ""
    if judgement.verdict != OUTSIDE:
        return f", and what came from off the law's path is small ({signed(off_path)})"
    if isinstance(off_path, Unresolved):
        return f", but how much came from off the law's path is {off_path}"
    return f", but {signed(off_path)} came from off the law's path, so the law does not explain it"


def _unresolved(figure: Figure) -> str:
    return f"not told from 0: {signed(figure)}" if isinstance(figure, Estimate) else str(figure)
