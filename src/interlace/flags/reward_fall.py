"""Flag: the reward fell since the stage's start, beyond its interval and beyond a wobble."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.analysis.reward_change import reward_difference
from interlace.estimate import Estimate, Figure, figure_text
from interlace.flags.base import Evidence
from interlace.statistics import bounded_mean_interval

FALL = 0.1
"""A fall of reward counts if it is resolved beyond this share of the rewards' range: an SFT stage that stays at its
optimum moves the reward by a few hundredths of it and nothing is wrong."""
UNIT = "reward units"

Groups: TypeAlias = Float[np.ndarray, "_ member"]


class RewardFall:
    """The change of reward since the stage's start has its upper end below -`FALL` times the range of rewards seen.

    On the held-out prompts, paired, at looks that measured the reward; at others, in RL, by what the trainer sampled:
    its latest groups against its first, whose errors add in square. Which of the two is decided by the looks' budget,
    never by what they show, so that a look is one test. The second asks that what the trainer adds up is the task's
    reward alone, and that it shuffles its prompts (TRL's `shuffle_dataset`, the default): a reward falls by itself
    where they come from easy to hard.
    """

    name = "reward_fall"
    sentence = f"the reward fell since the stage's start, resolved beyond {FALL:.0%} of its range"
    source = "the run itself"
    cost = "none beyond reward, or what the trainer samples anyway"

    def applies(self, evidence: Evidence) -> bool:
        """Where reward is measured at both, or the trainer's groups compare; and rewards differ at all."""
        return _range(evidence) > 0.0

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the fall is resolved."""
        change = _change(evidence)
        if not isinstance(change, Estimate) or change.upper >= -FALL * _range(evidence):
            return None
        fell = f"fell by {figure_text(_fall(change))} since the stage's"
        if evidence.has_reward:
            return f"step {evidence.step}: the reward on {evidence.held.task} {fell} start"
        return f"step {evidence.step}: the reward of what the trainer samples {fell} first groups"


def _range(evidence: Evidence) -> float:
    """The range of all rewards that the test sees, reward units; 0 where there is nothing to test."""
    if evidence.has_reward:
        return evidence.trajectory.reward_range
    if evidence.groups is None or evidence.groups.first is None:
        return 0.0
    return float(np.subtract(*_ends(evidence.groups.first, evidence.groups.recent)))


def _ends(first: Groups, recent: Groups) -> tuple[float, float]:
    """The largest and the least reward sampled."""
    both = np.concatenate([first.ravel(), recent.ravel()])
    return float(np.nanmax(both)), float(np.nanmin(both))


def _change(evidence: Evidence) -> Figure:
    if evidence.has_reward:
        return reward_difference(evidence.start, evidence.now, UNIT, level=evidence.level).change
    assert evidence.groups is not None and evidence.groups.first is not None
    return sampled_fall(evidence.groups.first, evidence.groups.recent, evidence.level)


def sampled_fall(first: Groups, recent: Groups, level: float) -> Figure:
    """Mean reward of the latest groups less that of the first: different prompts, so the errors add in square."""
    high, low = _ends(first, recent)
    before, now = (
        bounded_mean_interval(np.nanmean(rewards, axis=1), low, high, unit=UNIT, is_exact=False, level=level)
        for rewards in (first, recent)
    )
    if not isinstance(before, Estimate) or not isinstance(now, Estimate):
        return now if isinstance(before, Estimate) else before
    value = now.value - before.value
    below = math.hypot(now.value - now.lower, before.upper - before.value)
    above = math.hypot(now.upper - now.value, before.value - before.lower)
    method = "difference of means over different prompts"
    return Estimate(value, value - below, value + above, level, now.n, method, UNIT)


def _fall(change: Estimate) -> Estimate:
    return replace(change, value=-change.value, lower=-change.upper, upper=-change.lower)
