"""D2: the mirror law, and what a nat of SFT loss gains and costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlace.theory import distributional, finite
from interlace.theory.paths import reward_per_nat, sft_cost_per_nat

from .moves import centred_rows, slope, square_distance, tabular_fisher, tabular_gradients
from .problems import loss, make_policy, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)


def shared_parameters(rng, problem):
    """Logits as a curved function of three parameters that all prompts share; absent responses stay absent."""
    first, second = (rng.normal(size=(*problem.reward.shape, 3)) for _ in range(2))

    def policy_at(parameters):
        logits = first @ parameters + np.sin(second @ parameters)
        return normalised(problem.support * np.exp(logits))

    return policy_at


def gradient(function, at):
    return np.array([slope(lambda h, unit=unit: function(at + h * unit)) for unit in np.eye(len(at))])


@given(problems(), seeds)
def test_D2_rl_moves_the_loss_as_sft_moves_the_reward_with_the_sign_turned(problem, seed):
    """Any parametrisation, any common symmetric preconditioner (definite or not)."""
    rng = np.random.default_rng(seed)
    policy_at, here, root = shared_parameters(rng, problem), rng.normal(size=3), rng.normal(size=(3, 3))
    preconditioner = root + root.T

    def loss_at(parameters):
        return loss(problem, policy_at(parameters))

    def reward_at(parameters):
        return mean(problem, policy_at(parameters), problem.reward)

    rl, sft = preconditioner @ gradient(reward_at, here), -preconditioner @ gradient(loss_at, here)
    under_rl = slope(lambda h: loss_at(here + h * rl))
    under_sft = slope(lambda h: reward_at(here + h * sft))
    assert under_rl == pytest.approx(-under_sft, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("case", ["not symmetric", "not common"])
def test_D2_the_mirror_needs_one_symmetric_preconditioner(case):
    """Condition violated: a skewed matrix; or an Adam for each, whose diagonals differ."""
    problem = one_prompt([0.2, 0.3, 0.5], [0.5, 0.3, 0.2], [0.0, 1.0, 0.4])
    of_loss, of_reward = tabular_gradients(problem, problem.reference)
    if case == "not symmetric":
        for_rl = for_sft = np.array([[1.0, 5.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    else:
        for_rl, for_sft = np.diag(1 / np.abs(of_reward)), np.diag(1 / np.abs(of_loss).clip(1e-3))
    assert abs(of_loss @ for_rl @ of_reward - of_reward @ for_sft @ of_loss) > 0.01


@given(problems(experts=("dense", "sparse")), seeds)
def test_D2_in_the_tabular_fisher_geometry(problem, seed):
    """<grad L, grad R> = R - R_D, the squared norms are V and X2, and Cauchy-Schwarz bounds the gap."""
    policy = make_policy(np.random.default_rng(seed), problem)
    assume(policy[policy > 0].min() > 1e-4)
    of_loss, of_reward = tabular_gradients(problem, policy)
    inverse = np.linalg.pinv(tabular_fisher(problem, policy), rcond=1e-13, hermitian=True)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    variance = mean(problem, policy, np.square(centred_rows(problem, policy)))
    distance = square_distance(problem, problem.expert, policy)
    assert of_loss @ inverse @ of_reward == pytest.approx(gap, rel=1e-6, abs=1e-8)
    assert of_reward @ inverse @ of_reward == pytest.approx(variance, rel=1e-6, abs=1e-8)
    assert of_loss @ inverse @ of_loss == pytest.approx(distance, rel=1e-6, abs=1e-8)
    assert abs(gap) <= math.sqrt(variance * distance) * (1 + 1e-9) + 1e-12


@given(problems(rewards=("binary", "continuous")), seeds)
def test_D2_prices_are_what_rl_and_sft_pay_a_nat(problem, seed):
    """Along the two natural-gradient paths: reward against nats, by finite differences."""
    policy = make_policy(np.random.default_rng(seed), problem)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assume(abs(gap) > 1e-3 and finite.chi_square(problem, problem.expert, policy) < 1e4)
    rl = finite.FiniteProblem(problem.prompts, policy, problem.expert, problem.reward)
    gained = slope(lambda h: distributional.tilted_reward(rl, h))
    nats = slope(lambda h: distributional.sft_loss_increase(rl, h))
    assert reward_per_nat(problem, policy) == pytest.approx(gained / nats, rel=1e-6)

    def after_sft(h):
        return distributional.sft_path(problem, policy, h)

    lost = -slope(lambda h: mean(problem, after_sft(h), problem.reward), 1e-6)
    nats = -slope(lambda h: loss(problem, after_sft(h)), 1e-6)
    assume(nats > 1e-3)
    assert sft_cost_per_nat(problem, policy) == pytest.approx(lost / nats, rel=1e-4)


@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")), seeds)
def test_D2_above_parity_rl_gains_no_less_than_sft_costs(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assume(gap > 1e-6)
    gains, costs = reward_per_nat(problem, policy), sft_cost_per_nat(problem, policy)
    variance = mean(problem, policy, np.square(centred_rows(problem, policy)))
    cosine = gap / math.sqrt(variance * square_distance(problem, problem.expert, policy))
    assert gains >= costs * (1 - 1e-9) > 0.0
    assert gains / costs == pytest.approx(1 / cosine**2, rel=1e-9)


def on_the_front(expert, reward, exchange_rate):
    """lambda p_D / (nu - r) on the expert's support, nu by bisection."""
    low, high = max(r for r, p in zip(reward, expert, strict=True) if p > 0), 1e6
    for _ in range(200):
        nu = (low + high) / 2
        weights = [exchange_rate * p / (nu - r) if p > 0 else 0.0 for p, r in zip(expert, reward, strict=True)]
        low, high = (nu, high) if math.fsum(weights) > 1 else (low, nu)
    return np.array(weights) / math.fsum(weights)


@given(problems(rewards=("binary", "continuous"), experts=("dense",)), st.floats(0.05, 20.0))
def test_D2_the_prices_are_equal_on_the_front(problem, exchange_rate):
    """Equality case: both are lambda at the joint optimum (D9), whatever the number of prompts."""
    rows = [on_the_front(*row, exchange_rate) for row in zip(problem.expert, problem.reward, strict=True)]
    policy = np.array(rows)
    assume(mean(problem, policy, problem.reward) - problem.expert_reward > 1e-4)
    assert reward_per_nat(problem, policy) == pytest.approx(exchange_rate, rel=1e-6)
    assert sft_cost_per_nat(problem, policy) == pytest.approx(exchange_rate, rel=1e-6)


def test_D2_as_first_stated_is_wrong_off_the_policys_support():
    """'Equal exactly on the front': here they are equal, and a response that the policy never gives earns far more.

    Corrected: exactly on the front of the policies on its own support.
    """
    policy = np.append(on_the_front([0.5, 0.5, 0.0], [0.0, 1.0, 10.0], 1.0)[:2], 0.0)[None]
    problem = one_prompt([0.4, 0.4, 0.2], [0.5, 0.5, 0.0], [0.0, 1.0, 10.0])
    assert reward_per_nat(problem, policy) == pytest.approx(1.0) == pytest.approx(sft_cost_per_nat(problem, policy))
    better = 0.9 * policy + 0.1 * np.array([[0.0, 0.0, 1.0]])

    def joint(candidate):
        return mean(problem, candidate, problem.reward) - loss(problem, candidate)

    assert joint(better) > joint(policy) + 0.5


def test_D2_a_mass_outside_the_experts_support_is_on_the_front_if_it_earns_nu():
    """D9's clamped case is a case of equality too: r_o = nu."""
    problem = one_prompt([0.2, 0.2, 0.6], [0.5, 0.5, 0.0], [0.0, 1.0, 3.0])
    policy = np.array([[1 / 6, 1 / 4, 7 / 12]])  # lambda 1, nu 3
    assert reward_per_nat(problem, policy) == pytest.approx(1.0) == pytest.approx(sft_cost_per_nat(problem, policy))


@given(problems(rewards=("binary", "continuous"), experts=("dense",)), seeds)
def test_D2_below_parity_both_prices_are_negative(problem, seed):
    """Both objectives then gain together."""
    policy = make_policy(np.random.default_rng(seed), problem)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assume(gap < -1e-6)
    assert reward_per_nat(problem, policy) < 0.0 and sft_cost_per_nat(problem, policy) < 0.0


def test_D2_prices_where_a_denominator_vanishes():
    parity = one_prompt([0.5, 0.1, 0.4], [0.2, 0.4, 0.4], [1.0, 1.0, 0.0])  # 0.6 = 0.6, up to rounding
    assert reward_per_nat(parity, parity.reference) == math.inf and sft_cost_per_nat(parity, parity.reference) == 0.0
    flat = one_prompt([0.5, 0.5], [0.2, 0.8], [0.3, 0.3])
    assert math.isnan(reward_per_nat(flat, flat.reference)) and sft_cost_per_nat(flat, flat.reference) == 0.0
    expert = one_prompt([0.3, 0.7], [0.3, 0.7], [0.0, 1.0])
    assert reward_per_nat(expert, expert.expert) == math.inf and math.isnan(sft_cost_per_nat(expert, expert.expert))
    missing = one_prompt([1.0, 0.0], [0.5, 0.5], [1.0, 0.0])
    assert reward_per_nat(missing, missing.reference) == sft_cost_per_nat(missing, missing.reference) == 0.0


def test_D2_a_large_offset_of_the_reward_changes_no_price():
    near = one_prompt([0.3, 0.3, 0.4], [0.5, 0.4, 0.1], [0.0, 1.0, 0.5])
    far = finite.FiniteProblem(near.prompts, near.reference, near.expert, near.reward + 2.0**20)
    assert reward_per_nat(far, far.reference) == pytest.approx(reward_per_nat(near, near.reference), rel=1e-9)
