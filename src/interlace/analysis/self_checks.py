"""Theorems without conditions held against our own estimates of a stage: PASSED or ESTIMATOR AT FAULT (C8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from interlace.analysis.changes import NATS_RESPONSE, REWARD_UNIT
from interlace.analysis.passage import Passage
from interlace.analysis.place import METHOD
from interlace.analysis.splits import right_wrong
from interlace.analysis.summary import AT_FAULT, NOT_RESOLVED, PASSED, SelfCheck
from interlace.analysis.trajectory import KL, REWARD, SFT_LOSS
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import influence_interval, mean_interval, paired_change
from interlace.theory.frontier import sft_loss_floor_from_figures
from interlace.wording import number

TOLERANCE = 1e-6
"""nats or reward units: what rounding may cost an identity or an inequality that is met with equality."""

Check = tuple[str, str]
"""A verdict and its sentence."""


def bounded_reward_change(passage: Passage) -> Check:
    """A9: the reward cannot have moved by more than w sqrt(KL/2), on the prompts that the KL was sampled on."""
    gap = passage.trajectory.gap(REWARD, KL)
    if gap is not None:
        return NOT_RESOLVED, f"The bound on the change of reward was not checked: {gap}."
    part = passage.trajectory.measured(REWARD, KL)
    divergence, width = part.end.kl, part.reward_range
    before, after = (snapshot.reward[: len(divergence)] for snapshot in (part.start, part.end))
    change = after - before
    # in squares: smooth at KL 0, where the square root is not
    slack = width**2 * float(divergence.mean()) / 2.0 - float(change.mean()) ** 2
    influence = width**2 * divergence / 2.0 - 2.0 * float(change.mean()) * change
    figure = influence_interval(slack, influence, unit="reward squared")
    moved = signed(paired_change(before, after, unit=REWARD_UNIT))
    distance = mean_interval(divergence, unit=NATS_RESPONSE)
    return _at_least_zero(figure, f"Reward moved by {moved} at a KL to the stage's start of {distance}")


def tilt_adds_up(passage: Passage) -> Check:
    """A10: the parts add up, and the measured KL to the start leaves KL(pi, pi_tau) = KL + E log Z - tau R >= 0."""
    gap = passage.gap or passage.trajectory.gap(KL)
    end = Unresolved(gap) if gap is not None else passage.place(-1)
    if isinstance(end, Unresolved) or not passage.both.end.has(KL):
        return NOT_RESOLVED, f"The distance to the law's path was not checked: {gap or end}."
    parts = float(end.tilt.mean() + end.off_path.mean())
    if abs(parts - float(end.sft_change.mean())) > TOLERANCE:
        return AT_FAULT, f"Tilt and off-path part add up to {number(parts, 6)}, not to the change of SFT loss."
    sampled = slice(len(passage.both.end.kl))
    distance = passage.both.end.kl + end.log_partition[sampled] - end.rl_time * end.reward[sampled]
    figure = mean_interval(distance, unit=NATS_RESPONSE, method=METHOD)
    return _at_least_zero(figure, f"KL to the law's path, from KL to the start and from the rewards, is {figure}")


def right_wrong_add_up(passage: Passage) -> Check:
    """A11: the contributions of right and wrong expert responses add up to the change."""
    right, wrong = right_wrong(passage.trajectory)
    if not (isinstance(right, Estimate) and isinstance(wrong, Estimate)):
        return NOT_RESOLVED, f"Right and wrong responses were not checked: {right}."
    part = passage.trajectory.measured(SFT_LOSS)
    change = float((part.end.loss - part.start.loss).mean())
    total = number(change, 6, signed=True)
    words = f"Right ({signed(right)}) and wrong responses ({signed(wrong)}) against the change {total}"
    return (PASSED, f"{words}: they add up.") if _same(right.value + wrong.value, change) else (AT_FAULT, f"{words}.")


def cost_floor(passage: Passage) -> Check:
    """D13: what the reward costs at least in SFT loss, L >= H + 2 ((R - R_D)_+ / w)^2."""
    if passage.gap is not None or not passage.both.held.expert_is_known:
        reason = passage.gap or "the expert's entropy is not known"
        return NOT_RESOLVED, f"The floor of SFT loss was not checked: {reason}."
    end, held = passage.both.end, passage.both.held
    entropy = held.per_prompt(-np.log(held.probability))
    gap, width = end.reward - passage.both.expert_reward, passage.both.reward_range
    excess = max(0.0, float(gap.mean()))
    floor = sft_loss_floor_from_figures(
        float(entropy.mean()), float(end.reward.mean()), float(passage.both.expert_reward.mean()), width
    )
    slope = 4.0 * excess / width**2 if width > 0.0 else 0.0
    figure = influence_interval(float(end.loss.mean()) - floor, end.loss - entropy - slope * gap, unit=NATS_RESPONSE)
    return _at_least_zero(
        figure, f"SFT loss lies {signed(figure)} above the floor {number(floor)} that its reward sets"
    )


_EVERY: Mapping[str, Callable[[Passage], Check]] = {
    "A9": bounded_reward_change,
    "A11": right_wrong_add_up,
    "D13": cost_floor,
}
CHECKS: Mapping[str, Mapping[str, Callable[[Passage], Check]]] = {
    "rl": {**_EVERY, "A10": tilt_adds_up},
    "sft": _EVERY,
    "merge": _EVERY,
}
"""By kind of stage, then by the theorem's label in theory."""


def stage_self_checks(passage: Passage) -> tuple[SelfCheck, ...]:
    """Every self-check of one stage and kind of weights."""
    checks = CHECKS.get(passage.stage.kind, {})
    return tuple(SelfCheck(law, *check(passage), weights=passage.trajectory.weights) for law, check in checks.items())


def _at_least_zero(slack: Figure, words: str) -> Check:
    """An inequality by its slack: passed if resolved at least 0, at fault if resolved below."""
    if not isinstance(slack, Estimate):
        return NOT_RESOLVED, f"{words}: {slack}."
    if slack.lower >= -TOLERANCE:
        return PASSED, f"{words}: as it must be."
    if slack.upper < -TOLERANCE:
        return AT_FAULT, f"{words}: impossible for any policy, so one of these estimates is wrong."
    return NOT_RESOLVED, f"{words}: the interval is too wide to tell whether it is within the bound."


def _same(one: float, other: float) -> bool:
    return bool(np.isfinite(one)) and abs(one - other) <= TOLERANCE
