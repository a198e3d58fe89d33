"""D3: plain softmax policy gradient, whose sign is not that of reward parity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlace.theory import finite
from interlace.theory.paths import softmax_loss_rate, softmax_sign_follows_parity, softmax_velocity

from .moves import centred_rows, loss_slope, moved, slope, tabular_gradients
from .problems import loss, make_policy, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)


def parity(problem, policy):
    return mean(problem, policy, problem.reward) - problem.expert_reward


def with_expert(problem, policy, expert):
    return finite.FiniteProblem(problem.prompts, policy, expert, problem.reward)


@given(problems(), seeds)
def test_D3_loss_rate_is_the_slope_along_the_gradient_of_the_reward(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    of_loss, of_reward = tabular_gradients(problem, policy)
    uphill = of_reward.reshape(policy.shape)
    assert np.allclose(softmax_velocity(problem, policy), uphill, rtol=1e-9, atol=1e-15)
    rate = softmax_loss_rate(problem, policy)
    assert rate == pytest.approx(float(of_loss @ of_reward), rel=1e-9, abs=1e-12)
    assert rate == pytest.approx(loss_slope(problem, policy, uphill), abs=1e-8)
    rho, rewards = problem.prompts[:, None], centred_rows(problem, policy)
    expected = float((rho**2 * policy * (policy - problem.expert) * rewards).sum())
    assert rate == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(problems(), seeds)
def test_D3_the_velocity_is_the_gradient_by_finite_differences(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    velocity = softmax_velocity(problem, policy)
    for x, y in np.ndindex(*policy.shape):
        unit = np.zeros_like(policy)
        unit[x, y] = 1.0
        rise = slope(lambda h, unit=unit: mean(problem, moved(policy, unit, h), problem.reward))
        assert velocity[x, y] == pytest.approx(rise if policy[x, y] > 0 else 0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("policy", "expert", "reward", "gap", "rate"),
    [
        ([0.5, 0.1, 0.4], [0.10, 0.55, 0.35], [1.0, 1.0, 0.0], -0.05, 0.05),  # below parity, and L rises
        ([0.5, 0.1, 0.4], [0.58, 0.0, 0.42], [1.0, 1.0, 0.0], 0.02, -0.0072),  # past parity, and L falls
        ([0.8, 0.01, 0.19], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], -0.19, 0.090478),  # perfect expert, and L rises
    ],
)
def test_D3_printed_counter_examples(policy, expert, reward, gap, rate):
    problem = one_prompt(policy, expert, reward)
    assert parity(problem, problem.reference) == pytest.approx(gap)
    assert softmax_loss_rate(problem, problem.reference) == pytest.approx(rate, abs=1e-12)
    assert not softmax_sign_follows_parity(problem, problem.reference)
    step = moved(problem.reference, softmax_velocity(problem, problem.reference), 1e-3)
    assert (loss(problem, step) - loss(problem, problem.reference)) * rate > 0.0


def test_D3_with_a_perfect_expert_the_policy_sharpens_on_another_right_answer():
    problem = one_prompt([0.8, 0.01, 0.19], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    step = moved(problem.reference, softmax_velocity(problem, problem.reference), 1.0)
    assert step[0, 0] > 0.8 and step[0, 1] < 0.01


# ----------------------------------------------------------------------- what is enough for the sign, and what is not


@given(problems(rewards=("binary", "continuous")), seeds)
def test_D3_sign_is_parity_if_the_policy_is_uniform(problem, seed):
    """Supports of one size, prompts of one weight: dL/dt = (R - R_D) / (prompts x size)."""
    rng = np.random.default_rng(seed)
    count, size = problem.reward.shape[0], int(problem.support.sum(axis=1).min())
    policy = np.zeros_like(problem.reward)
    for row, support in zip(policy, problem.support, strict=True):
        row[rng.permutation(np.flatnonzero(support))[:size]] = 1.0 / size
    expert = normalised((policy > 0) * rng.gamma(0.5, size=policy.shape).clip(1e-9))
    even = finite.FiniteProblem(np.full(count, 1 / count), policy, expert, problem.reward)
    expected = parity(even, policy) / (count * size)
    assert softmax_loss_rate(even, policy) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert softmax_sign_follows_parity(even, policy)


@given(problems(rewards=("binary", "continuous")), seeds, st.sampled_from([-1.0, 1.0]))
def test_D3_sign_is_parity_if_policy_and_expert_differ_with_the_reward(problem, seed, side):
    """(pi - p_D)(r - R_x) of one sign over all prompts and responses, unequal weights and supports."""
    rng = np.random.default_rng(seed)
    policy = make_policy(rng, problem)
    advantage = centred_rows(problem, policy)
    lean = np.where(policy > 0, np.sign(advantage) * rng.random(policy.shape) * policy, 0.0)
    up, down = lean.clip(0).sum(axis=1, keepdims=True), (-lean).clip(0).sum(axis=1, keepdims=True)
    lean = np.where(lean > 0, lean * down, lean * up) / np.maximum(up, down)  # rows sum to 0
    problem = with_expert(problem, policy, normalised(policy - side * lean))
    gap, rate = parity(problem, policy), softmax_loss_rate(problem, policy)
    assume(abs(gap) > 1e-9)
    assert softmax_sign_follows_parity(problem, policy)
    assert gap * side > 0.0 and rate * side > 0.0


@given(seeds, st.integers(2, 12), st.floats(0.01, 0.99))
def test_D3_sign_is_parity_if_the_expert_is_proportional_within_right_and_wrong(seed, size, pass_rate):
    rng = np.random.default_rng(seed)
    reward = np.append([1.0, 0.0], rng.integers(0, 2, size - 2).astype(float))
    policy = normalised(rng.gamma(0.7, size=(1, size)).clip(1e-6))
    right = reward == 1.0
    p = policy[0, right].sum()
    assume(1e-6 < p < 1 - 1e-6 and abs(p - pass_rate) > 1e-6)
    expert = policy * np.where(right, pass_rate / p, (1 - pass_rate) / (1 - p))
    problem = one_prompt(policy[0], normalised(expert)[0], reward)
    within = [(policy[0, which] ** 2).sum() for which in (right, ~right)]
    expected = (p - pass_rate) * (within[0] * (1 - p) / p + within[1] * p / (1 - p))
    assert softmax_loss_rate(problem, policy) == pytest.approx(expected, rel=1e-6)
    assert softmax_sign_follows_parity(problem, policy)


HALF, EIGHTH = [0.5, 0.5] + [0.0] * 6, [0.125] * 8
TWO, EIGHT = [0.0, 1.0] + [0.0] * 6, [0.0] * 4 + [1.0] * 4


def passing(pass_rate, policy, reward):
    """The expert of that pass rate, proportional to the policy within right and within wrong."""
    right = np.array(reward) == 1.0
    return np.array(policy) * np.where(right, pass_rate, 1 - pass_rate) / 0.5


@pytest.mark.parametrize(
    ("prompts", "policies", "rewards", "pass_rates"),
    [
        ([0.8, 0.2], [HALF, HALF], [TWO, TWO], [0.4, 0.95]),  # uniform, sizes equal, weights not
        ([0.5, 0.5], [HALF, EIGHTH], [TWO, EIGHT], [0.4, 0.7]),  # uniform, weights equal, sizes not
        ([0.5, 0.5], [[0.5, 0.125, 0.125, 0.25], [0.5, 0.5, 0, 0]], [[1, 0, 0, 0], [1, 0, 0, 0]], [0.3, 0.66]),
    ],  # the last one: proportional within right and wrong, but two prompts
)
def test_D3_sign_can_fail_where_a_condition_of_it_is_violated(prompts, policies, rewards, pass_rates):
    experts = [passing(*row) for row in zip(pass_rates, policies, rewards, strict=True)]
    policy = np.array(policies)
    problem = finite.FiniteProblem(np.array(prompts), policy, np.array(experts), 1.0 * np.array(rewards))
    signs = parity(problem, policy), softmax_loss_rate(problem, policy)
    assert signs[0] * signs[1] < -1e-6, signs
    assert not softmax_sign_follows_parity(problem, policy)


@pytest.mark.parametrize(
    ("policy", "expert", "reward"),
    [
        ([0.5, 0.4, 0.1], [0.49, 0.0, 0.51], [1.0, 0.0, 0.0]),  # proportional within right only
        ([0.1, 0.5, 0.4], [0.5, 0.0, 0.5], [0.0, 1.0, 2.0]),  # one prompt, reward not binary
        ([0.1, 0.5, 0.4], [0.3, 0.35 / 0.9, 0.28 / 0.9], [1.0, 0.0, 3.0]),  # ... proportional outside r = 1
    ],
)
def test_D3_sign_can_fail_for_one_prompt(policy, expert, reward):
    problem = one_prompt(policy, expert, reward)
    signs = parity(problem, problem.reference), softmax_loss_rate(problem, problem.reference)
    assert signs[0] * signs[1] < 0.0, signs
    assert not softmax_sign_follows_parity(problem, problem.reference)


def test_D3_sign_needs_a_policy_that_covers_the_expert():
    """A uniform policy that never gives the expert's best answer: L is infinite, and the sum has another sign."""
    problem = one_prompt([0.5, 0.5, 0.0], [0.6, 0.0, 0.4], [0.0, 1.0, 5.0])
    assert parity(problem, problem.reference) < -1.0
    assert softmax_loss_rate(problem, problem.reference) > 0.0
    assert not softmax_sign_follows_parity(problem, problem.reference)


@given(problems(), seeds)
def test_D3_the_sufficient_conditions_are_never_wrong(problem, seed):
    """Whenever the predicate says so, on any problem, the signs agree; near-uniform and near-expert policies too."""
    rng = np.random.default_rng(seed)
    policy = make_policy(rng, problem)
    for candidate in (policy, problem.expert, normalised(problem.support * 1.0), 0.5 * (policy + problem.expert)):
        if softmax_sign_follows_parity(problem, candidate):
            gap, rate = parity(problem, candidate), softmax_loss_rate(problem, candidate)
            assert gap * rate > 0.0 or max(abs(gap), abs(rate)) < 1e-9
