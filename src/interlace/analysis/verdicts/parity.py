"""A4, the reward parity law: RL lowers SFT loss while it earns less than the expert, and raises it once it earns more.

Its sign is checked on the two segments of a stage where the side of parity is resolved. The prediction is the change of
the tilt part (A10) between the segment's ends, which has the law's sign; what is measured beyond it is off the path. By
that identity a run on which the off-path part is resolved small cannot show the other sign unless its figures disagree
with each other, and that is what CONTRADICTS would report (C8).

C8 has another way to contradict, a miss beyond D1's bound sqrt(eps X2(p_D, pi)) on dL/dtau. It is not taken: the bound
is for natural policy gradient, at an RL time of that flow and with eps, the mean squared part of the advantage that no
direction of the weights makes. A stage is trained by an optimizer of another metric, so its record has neither. What
it has is the reward, which rises by V - eps a unit of that time, and dL/dR = (R - R_D -/+ sqrt(eps X2)) / (V - eps)
has no bound while eps may be anything below V: every miss agrees with some eps.
"""

from __future__ import annotations

from dataclasses import dataclass

from interlace.analysis.changes import NATS_RESPONSE
from interlace.analysis.passage import Passage, expert_reward
from interlace.analysis.place import between
from interlace.analysis.reward_only import predicted_change
from interlace.analysis.summary import NOT_RESOLVED, Verdict
from interlace.analysis.verdicts.judgement import is_small, judge_sign, off_path_condition, off_path_words
from interlace.analysis.words import signed
from interlace.estimate import Figure, Unresolved

LAW = "A4"


@dataclass(frozen=True, slots=True)
class Segment:
    """Snapshots `first` to `last`, all of them on one side of parity."""

    first: int
    last: int
    side: str
    sign: int


def verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """One verdict a segment; a single one, unresolved, if the stage has none."""
    found = segments([gap.sign for gap in passage.parity_gaps])
    return tuple(_judged(passage, segment) for segment in found) or (_no_segment(passage),)


def segments(signs: list[int]) -> list[Segment]:
    """The stage's beginning that lies resolved below the expert's reward, and its end that lies resolved above.

    >>> segments([-1, -1, 0, 1, 1])
    [Segment(first=0, last=1, side='below', sign=-1), Segment(first=3, last=4, side='above', sign=1)]
    """
    last = len(signs) - 1
    below = next((i for i, sign in enumerate(signs) if sign >= 0), last + 1) - 1
    above = next((i for i in range(last, -1, -1) if signs[i] <= 0), -1) + 1
    found = [Segment(0, below, "below", -1)] if below >= 1 else []
    return found + ([Segment(above, last, "above", 1)] if above < last else [])


def _judged(passage: Passage, segment: Segment) -> Verdict:
    prediction, off_path = _parts(passage, segment)
    measurement = passage.loss_change(segment.first, segment.last)
    judgement = judge_sign(prediction, measurement, is_small(off_path, prediction))
    return Verdict(
        law=LAW,
        verdict=judgement.verdict,
        prediction=prediction,
        measurement=measurement,
        conditions=_conditions(passage, segment, off_path),
        sentence=(
            f"{_law_words(passage, segment, prediction)} It changed by {signed(measurement)}; {judgement.reason}"
            f"{off_path_words(judgement, off_path)}."
        ),
        weights=passage.trajectory.weights,
    )


def _law_words(passage: Passage, segment: Segment, prediction: Figure) -> str:
    steps = passage.both.steps
    where = f"From step {steps[segment.first]} to {steps[segment.last]} the reward stood {segment.side} the expert's"
    return f"{where}; on the law's path this would change SFT loss by {signed(prediction)}."


def _parts(passage: Passage, segment: Segment) -> tuple[Figure, Figure]:
    """Predicted change and off-path part of a segment; without the tilt (C4) the on-policy rewards predict (C7)."""
    earlier, later = passage.place(segment.first), passage.place(segment.last)
    if isinstance(earlier, Unresolved):
        return predicted_change(passage, slice(segment.first, segment.last + 1)), earlier
    if isinstance(later, Unresolved):
        return predicted_change(passage, slice(segment.first, segment.last + 1)), later
    return between(earlier.tilt, later.tilt, NATS_RESPONSE), between(earlier.off_path, later.off_path, NATS_RESPONSE)


def _conditions(passage: Passage, segment: Segment, off_path: Figure) -> tuple[str, ...]:
    gaps = passage.parity_gaps[segment.first], passage.parity_gaps[segment.last]
    moved = passage.reward_change(segment.first, segment.last)
    return (
        f"the reward stays {segment.side} the expert's: R - R_D is {signed(gaps[0])}, then {signed(gaps[1])}",
        f"the reward moves: it changed by {signed(moved)}",
        off_path_condition(off_path),
    )


def _no_segment(passage: Passage) -> Verdict:
    first, last = passage.parity_gaps[0], passage.parity_gaps[-1]
    reason = "the reward was not resolved on one side of the expert's at two measured steps in a row"
    return Verdict(
        law=LAW,
        verdict=NOT_RESOLVED,
        prediction=Unresolved(reason),
        measurement=passage.loss_change(0, -1),
        conditions=(
            f"the reward lies on one side of the expert's ({expert_reward(passage.both)}): R - R_D went from "
            f"{signed(first)} to {signed(last)}",
        ),
        sentence=f"The parity law says nothing here: {reason}.",
        weights=passage.trajectory.weights,
    )
