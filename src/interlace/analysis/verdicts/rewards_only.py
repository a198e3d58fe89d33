"""C7: the change of SFT loss predicted from on-policy rewards alone, against the measured one.

On the law's path the two are the same. Their difference is the gap between the ideal path and this run (by A10 the
off-path part, the rewards' own distance from a tilt, and the trapezoid's error): reported, it contradicts nothing.
"""

from __future__ import annotations

from interlace.analysis.passage import Passage
from interlace.analysis.reward_only import beyond_rewards, predicted_change, predicted_size, trapezoid_error
from interlace.analysis.splits import tilt_off_path
from interlace.analysis.summary import HOLDS, NOT_RESOLVED, OUTSIDE, Verdict
from interlace.analysis.verdicts.judgement import SMALL, Judgement, off_path_condition
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure
from interlace.wording import number

LAW = "C7"
CLOSE = 0.1
"""A difference whose interval lies within this share of the largest predicted change, and the trapezoid's error, is
agreement even where it is resolved."""


def verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """One verdict: the size of L(end) - L(start)."""
    prediction, difference = predicted_change(passage), beyond_rewards(passage)
    measurement = passage.loss_change(0, -1)
    error = trapezoid_error(passage)
    judgement = _judge(difference, error, predicted_size(passage))
    spacing = "not known (too few measured steps)" if error is None else f"about {number(error)} nats/response"
    return (
        Verdict(
            law=LAW,
            verdict=judgement.verdict,
            prediction=prediction,
            measurement=measurement,
            conditions=(
                f"the measured change beyond the predicted one is {signed(difference)}",
                off_path_condition(tilt_off_path(passage)[1]),
                f"the measured steps are close enough: the trapezoid's own error is {spacing}",
            ),
            sentence=(
                f"The rewards alone predict a change of SFT loss of {signed(prediction)}; it changed by "
                f"{signed(measurement)}; {judgement.reason}."
            ),
            weights=passage.trajectory.weights,
        ),
    )


def _judge(difference: Figure, error: float | None, size: float) -> Judgement:
    """`size`: what the law predicts at most along the stage; `error`: what the trapezoid may miss."""
    if not isinstance(difference, Estimate):
        return Judgement(NOT_RESOLVED, f"the difference is {difference}")
    if error is None:
        return Judgement(NOT_RESOLVED, "two measured steps are too few to integrate over")
    resolved = difference.lower > error or difference.upper < -error
    widest = max(-difference.lower, difference.upper)
    if error < SMALL * size and widest <= CLOSE * size + error:
        return Judgement(HOLDS, f"the two agree to within {CLOSE} of the largest predicted change")
    if resolved:
        return Judgement(OUTSIDE, f"{signed(difference)} of it the rewards do not explain: the run is off the path")
    if error < SMALL * size and widest < SMALL * size:
        return Judgement(HOLDS, "the two agree within their interval")
    return Judgement(NOT_RESOLVED, f"the difference is known too roughly to tell: {signed(difference)}")
