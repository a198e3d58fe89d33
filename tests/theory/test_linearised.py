"""D15: what RL on one objective does to another, to first order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlace.theory import finite
from interlace.theory.paths import linearised_cost, reward_per_nat

from .moves import slope, square_distance, tabular_fisher, tabular_gradients
from .problems import loss, make_policy, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)
KINDS = ("none", "diagonal", "matrix")


def preconditioner_of(rng, kind, size):
    root = rng.normal(size=(size, size))
    return {"none": None, "diagonal": rng.gamma(1.0, size=size) + 0.1, "matrix": root @ root.T + np.eye(size)}[kind]


def as_matrix(preconditioner, size):
    if preconditioner is None:
        return np.eye(size)
    return preconditioner if preconditioner.ndim == 2 else np.diag(preconditioner)


@given(seeds, st.integers(1, 6), st.sampled_from(KINDS))
def test_D15_is_the_ratio_of_the_stated_products(seed, size, kind):
    rng = np.random.default_rng(seed)
    of_loss, of_reward = rng.normal(size=(2, size))
    preconditioner = preconditioner_of(rng, kind, size)
    matrix = as_matrix(preconditioner, size)
    products = [
        math.fsum(side[i] * matrix[i, j] * of_reward[j] for i in range(size) for j in range(size))
        for side in (of_loss, of_reward)
    ]
    cost = linearised_cost(of_loss, of_reward, preconditioner)
    assert type(cost) is float and cost == pytest.approx(products[0] / products[1], rel=1e-9, abs=1e-12)


@given(problems(rewards=("binary", "continuous"), experts=("dense",)), seeds, st.sampled_from(KINDS))
def test_D15_is_the_loss_against_the_reward_along_the_update(problem, seed, kind):
    """SFT prompts and RL prompts apart, parameters shared: both followed along theta + h P grad R."""
    rng = np.random.default_rng(seed)
    count, features = len(problem.prompts), rng.normal(size=(*problem.reward.shape, 4))
    weights = rng.dirichlet(np.ones(count), size=2)
    if count > 1:  # no prompt has both
        weights = normalised(weights * np.array([np.arange(count) < 1, np.arange(count) >= 1]))
    sft, rl = (finite.FiniteProblem(w, problem.reference, problem.expert, problem.reward) for w in weights)

    def policy_at(parameters):
        return normalised(problem.support * np.exp(np.tanh(features @ parameters)))

    here = rng.normal(size=4) / 2
    of_loss = np.array([slope(lambda h, u=u: loss(sft, policy_at(here + h * u))) for u in np.eye(4)])
    of_reward = np.array([slope(lambda h, u=u: mean(rl, policy_at(here + h * u), rl.reward)) for u in np.eye(4)])
    assume(np.abs(of_reward).max() > 1e-3)
    preconditioner = preconditioner_of(rng, kind, 4)
    update = as_matrix(preconditioner, 4) @ of_reward
    lost = slope(lambda h: loss(sft, policy_at(here + h * update)), 1e-3)
    gained = slope(lambda h: mean(rl, policy_at(here + h * update), rl.reward), 1e-3)
    assert linearised_cost(of_loss, of_reward, preconditioner) == pytest.approx(lost / gained, rel=1e-4, abs=1e-5)


@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")), seeds)
def test_D15_with_the_tabular_fisher_matrix_it_is_the_inverse_of_D2_s_price(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    assume(policy[policy > 0].min() > 1e-4 and square_distance(problem, problem.expert, policy) < 1e4)
    of_loss, of_reward = tabular_gradients(problem, policy)
    inverse = np.linalg.pinv(tabular_fisher(problem, policy), rcond=1e-13, hermitian=True)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assume(abs(gap) > 1e-4)
    cost = linearised_cost(of_loss, of_reward, inverse)
    assert cost == pytest.approx(1.0 / reward_per_nat(problem, policy), rel=1e-5)


def test_D15_forecasts_where_the_parity_law_says_nothing_happens():
    """SFT prompts on which the reward is flat: A4 says 0; one shared parameter carries the damage over."""
    policy = np.array([[0.5, 0.5], [0.5, 0.5]])
    problem = finite.FiniteProblem(
        np.array([0.5, 0.5]), policy, np.array([[0.0, 1.0]] * 2), np.array([[0.0, 0.0], [1.0, 0.0]])
    )
    sft, rl = (
        finite.FiniteProblem(np.array(w), policy, problem.expert, problem.reward) for w in ([1.0, 0.0], [0.0, 1.0])
    )
    assert mean(sft, policy, sft.reward) == sft.expert_reward == 0.0
    of_loss, of_reward = np.array([0.5]), np.array([0.25])  # the first response's logit, shared by both prompts
    assert linearised_cost(of_loss, of_reward, None) == 2.0

    def policy_at(theta):
        return normalised(np.exp(np.array([[theta, 0.0]] * 2)))

    lost = loss(sft, policy_at(1e-4)) - loss(sft, policy)
    gained = mean(rl, policy_at(1e-4), rl.reward) - mean(rl, policy, rl.reward)
    assert lost / gained == pytest.approx(2.0, rel=1e-3)


def test_D15_sign_and_symmetry_of_the_roles():
    """Positive is damage; and the two objectives may be any two, their costs unlike."""
    loss_up, reward_up = np.array([1.0, 1.0]), np.array([2.0, 0.0])
    assert linearised_cost(loss_up, reward_up, None) == 0.5 and linearised_cost(-loss_up, reward_up, None) == -0.5
    assert linearised_cost(reward_up, loss_up, None) == 1.0
    assert linearised_cost(np.array([0.0, 1.0]), reward_up, None) == 0.0  # orthogonal
    assert linearised_cost(np.array([0.0, 1.0]), reward_up, np.array([[1.0, 0.5], [0.5, 1.0]])) == 0.25


def test_D15_needs_the_optimisers_preconditioner():
    """Condition violated: read without it, the sign itself can be wrong."""
    of_loss, of_reward = np.array([1.0, -2.0]), np.array([1.0, 1.0])
    assert linearised_cost(of_loss, of_reward, None) < 0.0 < linearised_cost(of_loss, of_reward, np.array([10.0, 1.0]))


def test_D15_says_nothing_if_rl_does_not_move():
    assert math.isnan(linearised_cost(np.array([1.0]), np.array([0.0]), None))


def test_D15_is_first_order_only():
    """Condition violated: a large update along a curved loss."""
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    of_loss, of_reward = tabular_gradients(problem, problem.reference)
    assert linearised_cost(of_loss, of_reward, None) == 0.0
    far = normalised(problem.reference * np.exp(4.0 * of_reward))
    assert loss(problem, far) > loss(problem, problem.reference) + 0.4


def test_D15_conditions_are_decided():
    from interlace.theory.laws import LAWS

    kinds = (None, np.ones(2), np.eye(2), np.array([[1.0, 0.5], [0.0, 1.0]]))
    assert [LAWS["D15"].conditions[0].check({"preconditioner": kind}) for kind in kinds] == [True, True, True, False]
