from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from interlace.theory import distributional, finite
from interlace.theory.paths import reward_only_sft_change

from .problems import one_prompt, problems


@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse", "reference")))
def test_C7_rewards_alone_give_the_change_on_the_path(problem):
    """The trapezoid converges to A1 with the square of the spacing."""
    errors = []
    for points in (101, 201):
        rl_times = np.linspace(0.0, 2.0, points)
        predicted = reward_only_sft_change(*rewards_along(problem, rl_times), problem.expert_reward)
        errors.append(np.abs(predicted - distributional.sft_loss_increase(problem, rl_times)).max())
    assert errors[1] < 1e-3 and errors[1] < 0.3 * errors[0] + 1e-12


def test_C7_resamples_and_checkpoints_are_axes():
    rng = np.random.default_rng(0)
    reward, variance, expert = rng.random((3, 6)), rng.random((3, 6)) + 0.1, rng.random(3)
    together = reward_only_sft_change(reward, variance, expert)
    assert together.shape == (3, 6) and (together[:, 0] == 0.0).all()
    for row in range(3):
        assert np.allclose(together[row], reward_only_sft_change(reward[row], variance[row], float(expert[row])))


def test_C7_fails_off_the_path():
    problem = one_prompt([0.2, 0.4, 0.4], [0.4, 0.6, 0.0], [0.0, 1.0, 1.0])
    policies = [
        problem.reference + t * (np.array([[0.1, 0.1, 0.8]]) - problem.reference) for t in np.linspace(0, 1, 50)
    ]
    reward = np.array([finite.expected_reward(problem, policy) for policy in policies])
    variance = np.array([finite.reward_variance(problem, policy) for policy in policies])
    measured = finite.sft_loss(problem, policies[-1]) - finite.sft_loss(problem, policies[0])
    assert measured > 0.5 + reward_only_sft_change(reward, variance, problem.expert_reward)[-1]


def test_C7_says_nothing_where_rewards_do_not_vary():
    change = reward_only_sft_change(np.array([0.5, 0.8, 1.0]), np.array([0.25, 0.16, 0.0]), 0.7)
    assert np.isfinite(change[:2]).all() and change[2] == np.inf


@pytest.mark.parametrize("checkpoints", [0, 1])
def test_C7_without_an_interval_there_is_no_change(checkpoints):
    assert reward_only_sft_change(np.ones(checkpoints), np.ones(checkpoints), 0.5).tolist() == [0.0] * checkpoints


def rewards_along(problem, rl_times):
    return distributional.tilted_reward(problem, rl_times), distributional.tilted_reward_variance(problem, rl_times)
