"""B3, the threshold for one update: whether it was certain to lower, or to raise, the SFT loss, and what it did.

At every look that read the update's slope <grad L, d>, its length D and the smoothness l, B2 puts the change of SFT
loss into slope -/+ l D^2/2. Where that interval lies on one side of 0 the sign was certain, and the change that was
read on the same prompts must have it. l is the largest curvature found at that look or earlier in the stage (B's l is
that of the whole path), so a curvature that rises along the step can escape it: then the mean curvature along the step,
which is read too, exceeds l and the look lies outside the law's conditions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from interlace.analysis.passage import Passage
from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE, Verdict
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import RAW
from interlace.statistics import together
from interlace.theory.landscape import loss_change_bounds
from interlace.wording import counted

LAW = "B3"
NEEDED = ("update_slope", "update_norm", "smoothness", "update_sft_loss_change", "directional_smoothness")
LOWERS, RAISES = "lowers", "raises"


@dataclass(frozen=True, slots=True)
class Look:
    """One look: `prediction` is B2's interval, `change` what was read, `met` whether l covered the step."""

    step: int
    prediction: Estimate
    change: Estimate
    met: bool


def verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """One verdict for each sign that was certain at some look; one, not resolved, where looks were read but none was
    certain; none where the probes were not asked. Raw weights alone take steps."""
    if passage.trajectory.weights != RAW:
        return ()
    looks = list(_looks(passage))
    if not looks:
        return ()
    found = {LOWERS: [look for look in looks if look.prediction.upper < 0.0],
             RAISES: [look for look in looks if look.prediction.lower > 0.0]}  # fmt: skip
    judged = tuple(_judged(sign, certain, len(looks)) for sign, certain in found.items() if certain)
    return judged or (_none_certain(looks),)


def _looks(passage: Passage) -> Iterator[Look]:
    smoothness = 0.0
    for step, read in sorted(_read(passage).items()):
        figures = [read.get(name) for name in NEEDED]
        if any(not isinstance(figure, Estimate) for figure in figures):
            continue
        slope, length, sharpest, change, bend = (figure for figure in figures if isinstance(figure, Estimate))
        smoothness = max(smoothness, abs(sharpest.lower), abs(sharpest.upper))
        met = max(abs(bend.lower), abs(bend.upper)) <= smoothness
        yield Look(step, _bounds(slope, smoothness, length.value), change, met)


def _read(passage: Passage) -> Mapping[int, Mapping[str, Figure]]:
    read: dict[int, dict[str, Figure]] = {}
    for item in passage.stage.measurements:
        if (item.point.task, item.point.weights) == (passage.trajectory.task, RAW):
            read.setdefault(item.point.step, {})[item.quantity] = item.figure
    return read


def _bounds(slope: Estimate, smoothness: float, length: float) -> Estimate:
    """B2's interval at both ends of the slope's."""
    low, high = (loss_change_bounds(end, smoothness, length) for end in (slope.lower, slope.upper))
    return Estimate(
        slope.value, low.lower, high.upper, slope.level, slope.n, "B2 over the slope's interval", slope.unit
    )


def _judged(sign: str, looks: list[Look], count: int) -> Verdict:
    """All looks at which this sign was certain, at the level at which their intervals hold together; the one that is
    shown is the largest miss, or else the surest."""
    wanted = -1 if sign == LOWERS else 1
    signs = [together(look.change, len(looks)).sign for look in looks]
    against = [look for look, read in zip(looks, signs, strict=True) if read == -wanted]
    right = [look for look, read in zip(looks, signs, strict=True) if read == wanted]
    broken = [look for look in against if look.met]
    verdict = CONTRADICTS if broken else OUTSIDE if against else HOLDS if right else NOT_RESOLVED
    shown = _surest(broken or against or right or looks)
    return _verdict(
        verdict,
        shown.prediction,
        shown.change,
        (
            f"the curvature along the step stays within the smoothness: so at {sum(look.met for look in looks)} of "
            f"{counted(len(looks), 'look')}",
        ),
        f"At {len(looks)} of {counted(count, 'look')} the update was certain to {_infinitive(sign)} SFT loss (B2's "
        f"interval is {signed(shown.prediction)} at step {shown.step}). The change was resolved with that sign at "
        f"{len(right)}, with the other at {len(against)}.",
    )


def _none_certain(looks: list[Look]) -> Verdict:
    shown = _surest(looks)
    reason = "no update's sign was certain: the curvature allows more than the slope asks"
    return _verdict(
        NOT_RESOLVED,
        Unresolved(reason),
        shown.change,
        (f"B2's interval lies on one side of 0: at step {shown.step} it is {signed(shown.prediction)}",),
        f"Of {counted(len(looks), 'look')} none had an update whose sign was certain: steps of this length are beyond "
        "the guarantee.",
    )


def _surest(looks: list[Look]) -> Look:
    """The look whose interval lies furthest from 0 on its side, or reaches least beyond it."""

    def distance(look: Look) -> float:
        return max(look.prediction.lower, -look.prediction.upper)

    return max(looks, key=distance)


def _infinitive(sign: str) -> str:
    return sign.removesuffix("s")


def _verdict(
    verdict: str, prediction: Figure, measurement: Figure, conditions: tuple[str, ...], sentence: str
) -> Verdict:
    return Verdict(LAW, verdict, prediction, measurement, conditions, sentence, RAW)
