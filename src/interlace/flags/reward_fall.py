"""Flag: the reward fell since the stage's start, beyond its interval and beyond a wobble."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from interlace.analysis.reward_change import reward_difference
from interlace.estimate import Estimate, Figure, figure_text
from interlace.flags.base import Evidence, SampledGroups
from interlace.statistics import bounded_mean_interval

FALL = 0.1
"""A fall of reward counts if it is resolved beyond this share of the rewards' range: an SFT stage that stays at its
optimum moves the reward by a few hundredths of it and nothing is wrong."""
UNIT = "reward units"


class RewardFall:
    """The change of reward since the stage's start has its upper end below -`FALL` times the range of rewards seen.

    On the held-out prompts, paired, at looks that measured the reward; at others, in RL, by what the trainer sampled:
    its latest groups against its first, whose errors add in square. Which of the two is decided by the looks' budget,
    never by what they show, so that a look is one test. A trainer that hands out prompts from easy to hard makes the
    second fall by itself; TRL's shuffle them.
    """

    name = "reward_fall"
    sentence = f"the reward fell since the stage's start, resolved beyond {FALL:.0%} of its range"
    source = "the run itself"
    cost = "none beyond reward, or what the trainer samples anyway"

    def applies(self, evidence: Evidence) -> bool:
        """Where reward is measured at both, or the trainer's groups are known; and rewards differ at all."""
        return _range(evidence) > 0.0

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the fall is resolved."""
        change = _change(evidence)
        if not isinstance(change, Estimate) or change.upper >= -FALL * _range(evidence):
            return None
        sampled, since = ("", "start") if evidence.has_reward else ("that the trainer samples ", "first groups")
        return (
            f"step {evidence.step}: the reward {sampled}on {evidence.held.task} fell by {figure_text(_fall(change))} "
            f"since the stage's {since}"
        )


def _range(evidence: Evidence) -> float:
    """The range of all rewards that the test sees, reward units; 0 where there is nothing to test."""
    if evidence.has_reward:
        return evidence.trajectory.reward_range
    return 0.0 if evidence.groups is None else float(np.subtract(*_ends(evidence.groups)))


def _ends(groups: SampledGroups) -> tuple[float, float]:
    """The largest and the least reward sampled."""
    both = np.concatenate([groups.first.ravel(), groups.recent.ravel()])
    return float(np.nanmax(both)), float(np.nanmin(both))


def _change(evidence: Evidence) -> Figure:
    if evidence.has_reward:
        return reward_difference(evidence.start, evidence.now, UNIT, level=evidence.level).change
    assert evidence.groups is not None
    return sampled_fall(evidence.groups, evidence.level)


def sampled_fall(groups: SampledGroups, level: float) -> Figure:
    """Mean reward of the latest groups less that of the first: different prompts, so the errors add in square."""
    high, low = _ends(groups)
    first, recent = (
        bounded_mean_interval(np.nanmean(rewards, axis=1), low, high, unit=UNIT, is_exact=False, level=level)
        for rewards in (groups.first, groups.recent)
    )
    if not isinstance(first, Estimate) or not isinstance(recent, Estimate):
        return recent if isinstance(first, Estimate) else first
    value = recent.value - first.value
    below = math.hypot(recent.value - recent.lower, first.upper - first.value)
    above = math.hypot(recent.upper - recent.value, first.value - first.lower)
    method = "difference of means over different prompts"
    return Estimate(value, value - below, value + above, level, recent.n, method, UNIT)


def _fall(change: Estimate) -> Estimate:
    return replace(change, value=-change.value, lower=-change.upper, upper=-change.lower)
