"""D5 and C7: what a run's log-ratios and rewards say of its RL time and of its SFT loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlace.theory import distributional, finite
from interlace.theory.paths import reward_only_sft_change, rl_time_from_log_ratios, rl_time_from_rewards

from .moves import centred_rows, moved
from .problems import make_policy, mean, one_prompt, problems, tilted

seeds = st.integers(0, 2**32 - 1)
varying = problems(rewards=("binary", "continuous"))


def log_ratio(problem, policy):
    with np.errstate(divide="ignore"):
        return np.log(np.where(problem.support, policy, 1.0) / np.where(problem.support, problem.reference, 1.0))


def exactly(problem, policy):
    """The fit under the policy itself: every response, weighed by its probability."""
    weights = problem.prompts[:, None] * policy
    return rl_time_from_log_ratios(log_ratio(problem, policy), problem.reward, weights=weights)


def within(values, policy):
    return values - np.array([math.fsum(a * b for a, b in zip(*rows, strict=True)) for rows in
                              zip(policy, values, strict=True)])[:, None]  # fmt: skip


# ------------------------------------------------------------------------------------------------- D5: from log-ratios


@given(varying, st.floats(-8.0, 8.0))
def test_D5_on_the_path_the_fit_is_exact(problem, rl_time):
    """Slope the RL time, share 1: under the policy, and on any sample of it."""
    policy = tilted(problem, rl_time)
    assume(mean(problem, policy, np.square(centred_rows(problem, policy))) > 1e-6)
    fit = exactly(problem, policy)
    assert fit.rl_time == pytest.approx(rl_time, rel=1e-6, abs=1e-9)
    if abs(rl_time) > 1e-3:
        assert fit.on_path_share == pytest.approx(1.0, abs=1e-9)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.choice(len(row), 16, p=row) for row in policy])
    samples = (np.take_along_axis(table, drawn, axis=1) for table in (log_ratio(problem, policy), problem.reward))
    fit = rl_time_from_log_ratios(*samples)
    if not math.isnan(fit.rl_time):
        assert fit.rl_time == pytest.approx(rl_time, rel=1e-6, abs=1e-9)


@given(varying, seeds)
def test_D5_is_the_pooled_within_prompt_regression(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    ratio, reward = within(log_ratio(problem, policy), policy), centred_rows(problem, policy)
    shared, spread, moved_by = (
        mean(problem, policy, product) for product in (ratio * reward, reward * reward, ratio * ratio)
    )
    assume(min(spread, moved_by) > 1e-9)
    fit = exactly(problem, policy)
    assert fit.rl_time == pytest.approx(shared / spread, rel=1e-8, abs=1e-10)
    assert fit.on_path_share == pytest.approx(shared**2 / (spread * moved_by), rel=1e-8, abs=1e-10)
    assert 0.0 <= fit.on_path_share <= 1.0


@given(varying, seeds)
def test_D5_the_share_is_one_only_on_the_path(problem, seed):
    """Off the path by any amount of any other direction: the residual's part of the variance is missing."""
    rng = np.random.default_rng(seed)
    policy = moved(tilted(problem, 1.0), rng.normal(size=problem.reward.shape), 0.5)
    ratio, reward = within(log_ratio(problem, policy), policy), centred_rows(problem, policy)
    residual = ratio - mean(problem, policy, ratio * reward) / mean(problem, policy, reward**2) * reward
    missing = mean(problem, policy, residual**2) / mean(problem, policy, ratio**2)
    assert exactly(problem, policy).on_path_share == pytest.approx(1.0 - missing, abs=1e-9)


def test_D5_the_slope_is_pooled_not_a_mean_of_slopes():
    """Two prompts at RL times 1 and 3: weighed by their variances of reward, 1/4 and 1."""
    rewards = np.array([[0.0, 1.0], [0.0, 2.0]])
    fit = rl_time_from_log_ratios(np.array([[0.0, 1.0], [0.0, 6.0]]), rewards)
    assert fit.rl_time == pytest.approx((1 * 0.25 + 3 * 1.0) / 1.25)
    assert fit.on_path_share == pytest.approx(3.25**2 / (1.25 * (0.25 + 9.0)))


def test_D5_prompts_may_differ_in_level():
    """log Z(x) is each prompt's own; a pooled regression without centring would not see it."""
    rewards = np.array([[0.0, 1.0], [5.0, 6.0]])
    fit = rl_time_from_log_ratios(np.array([[0.0, 2.0], [-100.0, -98.0]]), rewards)
    assert fit == (2.0, 1.0)


def test_D5_says_nothing_where_rewards_do_not_vary_within_prompts():
    flat = np.array([[0.3, 0.3, 0.3], [0.7, 0.7, 0.7]])  # they vary between prompts
    fit = rl_time_from_log_ratios(np.array([[0.1, 0.4, 0.2], [0.0, 0.3, 0.1]]), flat)
    assert math.isnan(fit.rl_time) and math.isnan(fit.on_path_share)


def test_D5_at_the_start_the_policy_is_on_the_path():
    assert rl_time_from_log_ratios(np.zeros((2, 3)), np.array([[0.0, 1.0, 1.0]] * 2)) == (0.0, 1.0)


def test_D5_what_has_no_weight_is_ignored():
    ratios = np.array([[-math.inf, 0.0, 2.0], [math.nan, 0.0, 0.0]])
    rewards = np.array([[9.0, 0.0, 1.0], [math.nan, 5.0, 6.0]])
    weights = np.array([[0.0, 0.25, 0.25], [0.0, 0.0, 0.0]])
    assert rl_time_from_log_ratios(ratios, rewards, weights=weights) == (2.0, 1.0)


@given(varying, seeds)
def test_D5_needs_samples_of_the_policy(problem, seed):
    """Condition violated: weighed by the reference, a policy off the path shows another RL time in general."""
    policy = make_policy(np.random.default_rng(seed), problem)
    wrong = rl_time_from_log_ratios(
        log_ratio(problem, policy), problem.reward, weights=problem.prompts[:, None] * problem.reference
    )
    reward = centred_rows(problem, problem.reference)
    expected = mean(problem, problem.reference, within(log_ratio(problem, policy), problem.reference) * reward)
    expected /= mean(problem, problem.reference, reward**2)
    assert wrong.rl_time == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_D5_under_the_reference_the_rl_time_is_another():
    problem = one_prompt([0.2, 0.4, 0.4], [0.4, 0.6, 0.0], [0.0, 1.0, 1.0])
    policy = np.array([[0.1, 0.1, 0.8]])
    wrong = rl_time_from_log_ratios(log_ratio(problem, policy), problem.reward, weights=problem.reference)
    assert wrong.rl_time == pytest.approx(1 / 2 * math.log(2))
    assert exactly(problem, policy).rl_time == pytest.approx(5 / 3 * math.log(2))


# ----------------------------------------------------------------------------------------------------- D5: from rewards


@given(varying)
def test_D5_rewards_alone_give_the_rl_time_on_the_path(problem):
    """The trapezoid converges to the RL time with the square of the spacing."""
    errors = []
    for points in (101, 201):
        rl_times = np.linspace(0.0, 2.0, points)
        errors.append(np.abs(rl_time_from_rewards(*rewards_along(problem, rl_times)) - rl_times).max())
    assert errors[1] < 1e-3 and errors[1] < 0.3 * errors[0] + 1e-12


def test_D5_resamples_are_leading_axes_and_a_loss_of_reward_counts_back():
    rng = np.random.default_rng(0)
    reward, variance = rng.random((3, 6)), rng.random((3, 6)) + 0.1
    together = rl_time_from_rewards(reward, variance)
    for row in range(3):
        total, slow = 0.0, [0.0]
        for i in range(5):
            total += 0.5 * (1 / variance[row, i] + 1 / variance[row, i + 1]) * (reward[row, i + 1] - reward[row, i])
            slow.append(total)
        assert np.allclose(together[row], slow, rtol=1e-12)
    back = rl_time_from_rewards(np.array([0.4, 0.5, 0.4]), np.array([0.24, 0.25, 0.24]))
    assert back[1] > 0.0 and back[2] == pytest.approx(0.0, abs=1e-15)


def test_D5_no_rl_time_past_a_checkpoint_without_variance():
    spent = rl_time_from_rewards(np.array([0.5, 0.8, 1.0, 1.0]), np.array([0.25, 0.16, 0.0, 0.0]))
    assert np.isfinite(spent[:2]).all() and spent[2] == math.inf and math.isnan(spent[3])


@pytest.mark.parametrize("checkpoints", [0, 1])
def test_D5_without_an_interval_there_is_no_rl_time(checkpoints):
    assert rl_time_from_rewards(np.ones(checkpoints), np.ones(checkpoints)).tolist() == [0.0] * checkpoints


def test_D5_conditions_are_decided():
    from interlace.theory.laws import LAWS

    varies, flat = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert [LAWS["D5"].conditions[1].check({"rewards": rewards}) for rewards in (varies, flat)] == [True, False]


# ------------------------------------------------------------------------------------------------------------------- C7


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


def test_D5_takes_binary_rewards_as_integers():
    log_ratios = np.array([[1.0, 3.0], [-2.0, 0.0]])
    whole = rl_time_from_log_ratios(log_ratios, np.array([[0, 1], [0, 1]]))
    assert whole == rl_time_from_log_ratios(log_ratios, np.array([[0.0, 1.0], [0.0, 1.0]]))
