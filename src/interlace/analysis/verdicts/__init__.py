"""The laws held against a stage, one file each; every one gives verdicts with its conditions as measured (C8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from interlace.analysis.controls import placebo_words
from interlace.analysis.passage import Passage
from interlace.analysis.summary import NOT_RESOLVED, OUTSIDE, Verdict
from interlace.analysis.verdicts import mixture, one_update, parity, rewards_only, threshold
from interlace.analysis.words import signed
from interlace.estimate import Unresolved

Law = Callable[[Passage], tuple[Verdict, ...]]

LAWS: Mapping[str, Mapping[str, Law]] = {
    "rl": {parity.LAW: parity.verdicts, threshold.LAW: threshold.verdicts, rewards_only.LAW: rewards_only.verdicts},
    "sft": {mixture.LAW: mixture.verdicts},
}
"""By kind of stage, then by the law's label in theory: laws of the reward, of which a placebo has none."""
ALWAYS: Sequence[Law] = (one_update.verdicts,)
"""Laws of any update, whatever it was made for."""


def stage_verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """What every law of this kind of stage says of it."""
    always = tuple(verdict for judge in ALWAYS for verdict in judge(passage))
    return (*_of_reward(passage), *always)


def _of_reward(passage: Passage) -> tuple[Verdict, ...]:
    laws = LAWS.get(passage.stage.kind, {})
    if passage.gap is not None:
        return tuple(_not_measured(passage, law, passage.gap) for law in laws)
    if passage.placebo is not None:
        return tuple(_placebo(passage, law) for law in laws)
    return tuple(verdict for judge in laws.values() for verdict in judge(passage))


def _placebo(passage: Passage, law: str) -> Verdict:
    """C9: the laws speak of the reward, and a placebo has none; its change of SFT loss is the control."""
    reason = f"the rewards were {placebo_words(str(passage.placebo))} (placebo: {passage.placebo})"
    measurement = passage.loss_change(0, -1)
    return Verdict(
        law=law,
        verdict=OUTSIDE,
        prediction=Unresolved(reason),
        measurement=measurement,
        conditions=(f"the updates follow the reward: not so, {reason}",),
        sentence=(
            f"A control: {reason}, so the law does not apply; without reward information SFT loss changed by "
            f"{signed(measurement)}."
        ),
        weights=passage.trajectory.weights,
    )


def _not_measured(passage: Passage, law: str, reason: str) -> Verdict:
    missing = Unresolved(reason)
    sentence = f"The law was not checked: {reason}."
    return Verdict(law, NOT_RESOLVED, missing, missing, (reason,), sentence, passage.trajectory.weights)
