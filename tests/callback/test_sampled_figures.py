"""What is read of the samples that training draws anyway, against the same figures group by group."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.callback.rollouts import Batch, Rollouts
from interlace.estimate import Estimate, Unresolved


def gathered(rewards: np.ndarray) -> Rollouts:
    rollouts = Rollouts("rows", Unresolved("not asked"), False, np.random.default_rng(0))
    completions = rewards.size
    rollouts.add(Batch(rewards, np.full(completions, 3), np.zeros(completions, dtype=bool)))
    return rollouts


def test_rewards_are_read_group_by_group_and_what_was_not_scored_is_left_out() -> None:
    rng = np.random.default_rng(0)
    rewards = rng.standard_normal((30, 8))
    rewards[rng.random((30, 8)) < 0.2] = np.nan
    rewards[3] = np.nan
    rewards[5, 1:] = np.nan
    found = gathered(rewards).figures()
    groups = [group[~np.isnan(group)] for group in rewards]
    whole = [group for group in groups if group.size > 1]
    reward, variance = found["train_reward"], found["train_reward_variance"]
    assert isinstance(reward, Estimate) and isinstance(variance, Estimate)
    assert reward.n == variance.n == len(whole) == 28
    assert reward.value == pytest.approx(np.mean([group.mean() for group in whole]))
    assert variance.value == pytest.approx(np.mean([group.var(ddof=1) for group in whole]))


def test_a_reward_that_was_never_earned_is_not_known_to_be_0() -> None:
    found = gathered(np.zeros((16, 4))).figures()
    reward, variance = found["train_reward"], found["train_reward_variance"]
    assert isinstance(reward, Estimate) and reward.lower == 0.0 < reward.upper < 0.3
    assert isinstance(variance, Unresolved) and "no reward differs within any of 16 groups" in variance.reason
