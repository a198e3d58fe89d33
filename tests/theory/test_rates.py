"""D1: any update, and natural policy gradient through parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlace.theory import finite
from interlace.theory.paths import loss_rate, natural_velocity, projection_bound, reward_rate

from .moves import centred_rows, loss_slope, reward_slope, slope, square_distance
from .problems import loss, make_policy, make_problem, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)


@given(problems(), seeds)
def test_D1_rates_are_the_slopes_of_loss_and_reward(problem, seed):
    rng = np.random.default_rng(seed)
    policy, velocity = make_policy(rng, problem), rng.normal(size=problem.reward.shape)
    assert loss_rate(problem, policy, velocity) == pytest.approx(loss_slope(problem, policy, velocity), abs=1e-9)
    assert reward_rate(problem, policy, velocity) == pytest.approx(reward_slope(problem, policy, velocity), abs=1e-9)


@given(problems(), seeds)
def test_D1_rates_are_the_stated_means(problem, seed):
    rng = np.random.default_rng(seed)
    policy, velocity = make_policy(rng, problem), rng.normal(size=problem.reward.shape)
    expected = mean(problem, policy, velocity) - mean(problem, problem.expert, velocity)
    assert loss_rate(problem, policy, velocity) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    covariance = mean(problem, policy, velocity * centred_rows(problem, policy))
    assert reward_rate(problem, policy, velocity) == pytest.approx(covariance, rel=1e-9, abs=1e-12)


@given(problems(), seeds)
def test_D1_a_constant_in_a_row_moves_nothing(problem, seed):
    rng = np.random.default_rng(seed)
    policy, offset = make_policy(rng, problem), 1e6 * rng.normal(size=(problem.prompts.size, 1))
    constant = np.broadcast_to(offset, problem.reward.shape)
    assert loss_rate(problem, policy, constant) == reward_rate(problem, policy, constant) == 0.0


def test_D1_absent_responses_and_prompts_of_weight_0_are_ignored():
    problem = finite.FiniteProblem(
        np.array([1.0, 0.0]),
        np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]),
        np.array([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]),
        np.array([[0.0, 1.0, 7.0], [0.0, 1.0, 7.0]]),
    )
    velocity = np.array([[1.0, 2.0, math.inf], [3.0, 4.0, math.inf]])
    assert loss_rate(problem, problem.reference, velocity) == pytest.approx(1.5 - 1.8)
    assert reward_rate(problem, problem.reference, velocity) == pytest.approx(0.25)


@given(problems(), seeds)
def test_D1_tabular_natural_gradient_moves_at_the_advantage(problem, seed):
    """One feature a response: no residual, and dL/dtau is the parity gap (A4)."""
    policy = make_policy(np.random.default_rng(seed), problem)
    features = np.eye(policy.size).reshape(*policy.shape, policy.size)
    projection = natural_velocity(problem, policy, features)
    assert projection.mean_squared_residual == pytest.approx(0.0, abs=1e-15)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assert loss_rate(problem, policy, projection.velocity) == pytest.approx(gap, rel=1e-7, abs=1e-9)


@given(problems(experts=("dense",)), seeds, st.integers(1, 6))
def test_D1_natural_gradient_in_any_parametrisation_is_the_projected_advantage(problem, seed, size):
    """The step is solved with the Fisher matrix of the parameters, and L followed through a curved parametrisation."""
    rng = np.random.default_rng(seed)
    policy, features = make_policy(rng, problem), rng.normal(size=(*problem.reward.shape, size))
    scores = features - np.einsum("xy,xyk->xk", policy, features)[:, None]
    joint = problem.prompts[:, None] * policy
    fisher = np.einsum("xy,xyk,xyl->kl", joint, scores, scores)
    gradient = np.einsum("xy,xyk,xy->k", joint, scores, problem.reward)
    assume(np.linalg.cond(fisher) < 1e6)
    step = np.linalg.solve(fisher, gradient)
    projection = natural_velocity(problem, policy, features)
    advantage = centred_rows(problem, policy)
    assert np.allclose(np.where(policy > 0, projection.velocity - scores @ step, 0.0), 0.0, atol=1e-7)
    residual = mean(problem, policy, np.square(advantage - scores @ step))
    assert projection.mean_squared_residual == pytest.approx(residual, rel=1e-6, abs=1e-12)

    def loss_after(rl_time):  # logits curve in the parameters; only their Jacobian at the start is `features`
        logits = np.where(policy > 0, np.sinh(rl_time * (features @ step)), 0.0)
        return loss(problem, normalised(policy * np.exp(logits)))

    scale = 1e-3 / max(1.0, np.abs(features @ step).max())
    expected = slope(loss_after, scale)
    assert loss_rate(problem, policy, projection.velocity) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(problems(), seeds, st.integers(1, 4))
def test_D1_the_parity_law_misses_by_no_more_than_the_projection_bound(problem, seed, size):
    rng = np.random.default_rng(seed)
    policy, features = make_policy(rng, problem), rng.normal(size=(*problem.reward.shape, size))
    projection = natural_velocity(problem, policy, features)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    miss = abs(loss_rate(problem, policy, projection.velocity) - gap)
    bound = projection_bound(problem, policy, projection.mean_squared_residual)
    expected = math.sqrt(projection.mean_squared_residual * square_distance(problem, problem.expert, policy))
    assert bound == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert miss <= bound * (1 + 1e-9) + 1e-12


@given(problems(rewards=("binary", "continuous")), seeds)
def test_D1_the_bound_is_attained_where_the_expert_departs_along_the_residual(problem, seed):
    """Equality case: p_D/pi - 1 proportional to what the projection leaves over."""
    rng = np.random.default_rng(seed)
    policy, features = make_policy(rng, problem), rng.normal(size=(*problem.reward.shape, 1))
    projection = natural_velocity(problem, policy, features)
    residual = np.where(policy > 0, centred_rows(problem, policy) - projection.velocity, 0.0)
    assume(projection.mean_squared_residual > 1e-4)
    expert = normalised(policy * (1 + 0.9 * residual / np.abs(residual).max()))
    other = finite.FiniteProblem(problem.prompts, problem.reference, expert, problem.reward)
    gap = mean(other, policy, problem.reward) - other.expert_reward
    miss = abs(loss_rate(other, policy, projection.velocity) - gap)
    bound = projection_bound(other, policy, projection.mean_squared_residual)
    assert miss == pytest.approx(bound, rel=1e-6) and bound > 0.0


def test_D1_the_bound_needs_the_least_squares_projection():
    """Condition violated: plain policy gradient, further from the parity gap than the bound of a full projection."""
    problem = one_prompt([0.5, 0.1, 0.4], [0.10, 0.55, 0.35], [1.0, 1.0, 0.0])
    policy = problem.reference
    plain = 4.0 * policy * centred_rows(problem, policy)
    bound = projection_bound(problem, policy, 0.0)
    assert bound == 0.0 < abs(loss_rate(problem, policy, plain) - (0.6 - 0.65))


def test_D1_the_bound_says_nothing_where_the_policy_misses_the_expert():
    problem = one_prompt([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    assert projection_bound(problem, problem.reference, 0.0) == math.inf


def test_D1_condition_is_that_the_policy_covers_the_expert():
    from interlace.theory.laws import LAWS

    problem = make_problem(np.random.default_rng(0), 2, 4, "binary", "dense")
    missing = normalised(np.where(problem.expert == problem.expert.max(axis=1, keepdims=True), 0.0, problem.reference))
    checks = [LAWS["D1"].conditions[0].check({"problem": problem, "policy": p}) for p in (problem.reference, missing)]
    assert checks == [True, False]


@pytest.mark.parametrize("wanted", [-50.0, -1.0, 1.0, 50.0])
def test_D1_without_the_residual_any_cost_of_reward_agrees_with_it(wanted):
    """Past parity a single feature gives natural gradient any dL/dR: unless eps is known no miss of A4 contradicts."""
    policy, expert, reward = (np.array([row]) for row in ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]))
    problem = finite.FiniteProblem(prompts=np.ones(1), reference=policy, expert=expert, reward=reward)
    advantage = centred_rows(problem, policy)
    kept = np.array([[0.0, 1.0, -1.5]])  # mean 0 under the policy, and no part of the advantage
    share = -wanted * float((policy * advantage**2).sum()) - float((expert * advantage).sum())
    feature = advantage + kept * share / float((expert * kept).sum())
    found = natural_velocity(problem, policy, feature[..., None])
    slopes = loss_rate(problem, policy, found.velocity), reward_rate(problem, policy, found.velocity)
    assert slopes[1] > 0.0 and slopes[0] / slopes[1] == pytest.approx(wanted)
    gap = float(((policy - expert) * reward).sum())
    assert gap > 0.0
    assert abs(slopes[0] - gap) <= projection_bound(problem, policy, found.mean_squared_residual) * (1 + 1e-9)
