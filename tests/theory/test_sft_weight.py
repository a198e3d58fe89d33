"""D8: SFT after RL, on the mixture line, and the worst that any SFT can do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize

from interlace.errors import DataError
from interlace.theory import distributional, finite
from interlace.theory.paths import least_reward, optimal_sft_weight

from .moves import slope, square_distance
from .problems import divergence, loss, make_policy, mean, normalised, one_prompt, problems, tilted

seeds = st.integers(0, 2**32 - 1)
rates = st.floats(1e-3, 1e3)
varying = problems(rewards=("binary", "continuous"))
beatable = problems(rewards=("binary", "continuous"), experts=("dense", "sparse", "reference"))


def mixed(problem, policy, weight):
    return (1 - weight) * policy + weight * problem.expert


def worth(problem, policy, weight, exchange_rate):
    here = mixed(problem, policy, weight)
    return mean(problem, here, problem.reward) - exchange_rate * loss(problem, here)


def outside(problem, policy):
    """E_x of the policy's mass where the expert has none."""
    return mean(problem, policy, 1.0 * (problem.expert == 0.0))


def above_parity(problem, seed):
    policy = normalised(make_policy(np.random.default_rng(seed), problem) * np.exp(2.0 * problem.reward))
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assume(gap > 1e-3)
    return policy, gap


# --------------------------------------------------------------------------------------------------- the mixture line


@given(beatable, seeds)
def test_D8_the_price_from_the_start_rises_from_the_first_nat_to_the_last(problem, seed):
    """Reward lost per nat gained along A8's path, between gap/X2 and gap/KL."""
    policy, gap = above_parity(problem, seed)
    assume(square_distance(problem, problem.expert, policy) < 1e6)
    sft_times = np.array([1e-4, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0])
    weights = -np.expm1(-sft_times)
    lost = np.array([gap * w for w in weights])
    nats = np.array([loss(problem, policy) - loss(problem, mixed(problem, policy, w)) for w in weights])
    assume(nats[1] > 1e-9)
    prices = lost[1:] / nats[1:]
    square, distance = square_distance(problem, problem.expert, policy), divergence(problem, problem.expert, policy)
    first, last = gap / square, gap / distance
    assert (np.diff(prices) >= -1e-7 * prices[:-1]).all()
    assert (prices >= first * (1 - 1e-7)).all() and (prices <= last * (1 + 1e-6)).all()
    change = np.where(problem.expert > 0, np.abs(problem.expert - policy), 1e-12)
    step = 1e-2 * np.where(problem.expert > 0, policy / change.clip(1e-12), 1.0).min()
    first_nat = slope(lambda w: loss(problem, policy) - loss(problem, mixed(problem, policy, w)), step)
    assert first_nat == pytest.approx(square, rel=1e-5)
    assert prices[-1] == pytest.approx(last, rel=1e-5)
    path = distributional.sft_path(problem, policy, float(sft_times[4]))
    assert np.allclose(path, mixed(problem, policy, weights[4]), rtol=1e-12)


@given(problems(), seeds, rates)
def test_D8_the_worth_is_concave_in_the_weight(problem, seed, exchange_rate):
    policy = make_policy(np.random.default_rng(seed), problem)
    values = np.array([worth(problem, policy, w, exchange_rate) for w in np.linspace(0.0, 1.0, 21)])
    assert (np.diff(values, 2) <= 1e-9 * (1 + np.abs(values).max())).all()


@given(problems(), seeds, rates)
def test_D8_the_weight_is_the_best_by_brute_force(problem, seed, exchange_rate):
    policy = make_policy(np.random.default_rng(seed), problem)
    weight = optimal_sft_weight(problem, policy, exchange_rate)
    assert type(weight) is float and 0.0 <= weight <= 1.0
    best = worth(problem, policy, weight, exchange_rate)
    slack = 1e-12 * (1 + exchange_rate * abs(loss(problem, policy)))
    assert all(worth(problem, policy, w, exchange_rate) <= best + slack for w in np.linspace(0.0, 1.0, 41))

    def cost(w):
        return -worth(problem, policy, w, exchange_rate)

    assert -optimize.minimize_scalar(cost, bounds=(0, 1), method="bounded").fun <= best + slack


@given(varying, seeds, rates)
def test_D8_inside_it_stops_where_both_balance(problem, seed, exchange_rate):
    """lambda X2(p_D, pi) = R(pi) - R_D."""
    policy = make_policy(np.random.default_rng(seed), problem)
    weight = optimal_sft_weight(problem, policy, exchange_rate)
    assume(1e-6 < weight < 1 - 1e-6)
    here = mixed(problem, policy, weight)
    gap = math.fsum((problem.prompts[:, None] * (here - problem.expert) * problem.reward).ravel())
    assert exchange_rate * square_distance(problem, problem.expert, here) == pytest.approx(gap, rel=1e-6, abs=1e-12)


@given(beatable, seeds)
def test_D8_where_the_two_ends_begin(problem, seed):
    """w* = 0 iff lambda X2 <= gap, w* = 1 iff gap <= lambda x the mass outside: both from each side."""
    policy, gap = above_parity(problem, seed)

    def weight(exchange_rate):
        return optimal_sft_weight(problem, policy, exchange_rate)

    least = gap / square_distance(problem, problem.expert, policy)
    assert weight(0.999 * least) == 0.0 < weight(1.001 * least)
    mass = outside(problem, policy)
    if mass > 1e-6:
        most = gap / mass
        assert weight(0.99 * most) < 1.0 == weight(1.001 * most)
    else:
        assert weight(1e3) < 1.0


def test_D8_as_first_stated_is_wrong_where_the_expert_has_zeros():
    """'w* = 1 iff R(pi_0) <= R_D': here R(pi_0) = 0.5 > 0.4 = R_D, and all the way to the expert is best.

    The expert never gives the third response, where the policy has mass 0.5: every nat up to the last is cheap.
    Corrected: w* = 1 iff R(pi_0) - R_D <= lambda E_x pi_0(outside supp p_D), here 0.1 <= 0.5 lambda.
    """
    problem = one_prompt([0.3, 0.2, 0.5], [0.6, 0.4, 0.0], [0.0, 1.0, 0.6])
    policy = problem.reference
    gap, mass = mean(problem, policy, problem.reward) - problem.expert_reward, outside(problem, policy)
    assert (gap, mass) == pytest.approx((0.1, 0.5))
    values = [worth(problem, policy, w, 0.5) for w in np.linspace(0.0, 1.0, 101)]
    assert int(np.argmax(values)) == 100 and optimal_sft_weight(problem, policy, 0.5) == 1.0
    assert optimal_sft_weight(problem, policy, 0.2001) == 1.0 > optimal_sft_weight(problem, policy, 0.1999)


@given(problems(), seeds, rates)
def test_D8_a_policy_below_parity_goes_all_the_way(problem, seed, exchange_rate):
    policy = make_policy(np.random.default_rng(seed), problem)
    assume(mean(problem, policy, problem.reward) <= problem.expert_reward)
    assert optimal_sft_weight(problem, policy, exchange_rate) == 1.0


def test_D8_the_weight_in_closed_form():
    """Policy always right, expert right half the time: 2 - sqrt 2 at lambda 1."""
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert optimal_sft_weight(problem, np.array([[0.0, 1.0]]), 1.0) == pytest.approx(2 - math.sqrt(2), rel=1e-12)
    assert optimal_sft_weight(problem, problem.expert, 1.0) == 1.0
    assert optimal_sft_weight(problem, np.array([[0.0, 1.0]]), 0.0) == 0.0


@pytest.mark.parametrize("exchange_rate", [1e-12, 1e-6, 1e6, 1e12])
def test_D8_extreme_exchange_rates(exchange_rate):
    """Policy always right, expert right half the time; q = w/2 is the wrong mass. By hand: R - lambda L =
    1 - q + lambda (log q + log(1 - q))/2 is stationary where q^2 - q (1 + lambda) + lambda/2 = 0.
    """
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    wrong = exchange_rate / ((1 + exchange_rate) + math.sqrt(1 + exchange_rate**2))
    weight = optimal_sft_weight(problem, np.array([[0.0, 1.0]]), exchange_rate)
    assert weight == pytest.approx(2 * wrong, rel=1e-9)


def test_D8_a_policy_that_misses_the_expert_is_always_moved():
    problem = one_prompt([0.0, 1.0], [0.3, 0.7], [0.0, 1.0])
    assert 0.0 < optimal_sft_weight(problem, problem.reference, 1e-9) < 1e-8


def test_D8_refuses_an_exchange_rate_that_is_none():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    for rate in (-1.0, math.inf, math.nan):
        with pytest.raises(DataError, match=f"exchange_rate must be at least 0 and finite. Got {rate}"):
            optimal_sft_weight(problem, problem.reference, rate)


# ---------------------------------------------------------------------------------------------------------- any SFT


@given(varying, st.floats(-3.0, 5.0), st.floats(1e-3, 0.99))
def test_D8_walked_back_to_the_distance_asked_for(problem, rl_time, share):
    """KL(pi_{tau - a}, pi_tau) = k for every k up to all that the worst responses are away."""
    end = tilted(problem, rl_time)
    worst = np.where(problem.support, problem.reward, np.inf)
    worst = problem.support & (worst == worst.min(axis=1, keepdims=True))
    most = -math.fsum(problem.prompts * np.log((end * worst).sum(axis=1)))
    assume(1e-3 < most < 30.0)
    back = least_reward(problem, rl_time, share * most)
    assume(back.rl_time > -100.0)  # near ties of the worst responses take long
    there = tilted(problem, back.rl_time)
    assert back.rl_time < rl_time
    assert divergence(problem, there, end) == pytest.approx(share * most, rel=1e-7)
    assert back.reward == pytest.approx(mean(problem, there, problem.reward), rel=1e-9, abs=1e-12)


@given(varying, seeds, st.floats(0.0, 3.0))
def test_D8_no_policy_as_near_earns_less(problem, seed, rl_time):
    """Any SFT whatever: random policies, and those between them and the worst."""
    rng, end = np.random.default_rng(seed), tilted(problem, rl_time)
    for scale in (0.1, 1.0, 5.0):
        other = normalised(end * np.exp(rng.normal(size=end.shape) * scale - scale * problem.reward))
        back = least_reward(problem, rl_time, divergence(problem, other, end))
        assert mean(problem, other, problem.reward) >= back.reward - 1e-7


def test_D8_the_least_reward_by_constrained_minimisation():
    """Two prompts: SLSQP over all policies at that KL finds no less, and finds the tilt."""
    policy = np.array([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3]])
    problem = finite.FiniteProblem(np.array([0.4, 0.6]), policy, policy, np.array([[0.0, 1.0, 0.4], [0.3, 0.0, 1.0]]))
    end = tilted(problem, 1.5)

    def as_policy(flat):
        logits = np.column_stack([flat.reshape(2, 2), np.zeros(2)])  # the third as the zero of each row
        return normalised(np.exp(logits - logits.max(axis=1, keepdims=True)))

    begin = np.log(end) - 0.3 * problem.reward
    start = (begin[:, :2] - begin[:, 2:]).ravel()
    for k in (0.05, 0.2, 0.6):
        found = optimize.minimize(
            lambda flat: mean(problem, as_policy(flat), problem.reward), start,
            constraints={"type": "eq", "fun": lambda flat, k=k: divergence(problem, as_policy(flat), end) - k},
            method="SLSQP", options={"ftol": 1e-13, "maxiter": 500},
        )  # fmt: skip
        back = least_reward(problem, 1.5, k)
        assert found.success and found.fun == pytest.approx(back.reward, abs=1e-6)
        assert np.allclose(as_policy(found.x), tilted(problem, back.rl_time), atol=1e-3)


def test_D8_as_first_stated_is_wrong_beyond_the_worst_responses():
    """'The least reward at KL = k is that of pi_{tau-a}': no tilt is log 2 or more away from this one; others are.

    Corrected: up to E_x[-log pi_tau(worst responses)], from where on only those are left.
    """
    problem = one_prompt([0.25, 0.25, 0.5], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0])
    other = np.array([[1.0, 0.0, 0.0]])  # worst responses alone, log 4 away
    assert divergence(problem, other, problem.reference) == pytest.approx(math.log(4))
    furthest = distributional.tilted_policy(problem, -math.inf)
    assert divergence(problem, furthest, problem.reference) == pytest.approx(math.log(2))
    assert least_reward(problem, 0.0, math.log(4)) == (-math.inf, 0.0)
    assert mean(problem, other, problem.reward) == 0.0


def test_D8_walked_back_at_no_distance_and_with_a_flat_reward():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert least_reward(problem, 0.0, 0.0) == (0.0, 0.5)
    flat = one_prompt([0.5, 0.5], [0.5, 0.5], [0.3, 0.3])
    assert least_reward(flat, 1.0, 0.0) == (1.0, 0.3) and least_reward(flat, 1.0, 0.5) == (-math.inf, 0.3)


def test_D8_walked_back_past_the_start():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    back = least_reward(problem, 0.5, 0.3)
    assert back.rl_time < 0.0 and back.reward < 0.5


def test_D8_refuses_what_is_no_distance():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    with pytest.raises(DataError, match="rl_time must be finite. Got inf."):
        least_reward(problem, math.inf, 0.1)
    with pytest.raises(DataError, match="divergence must be at least 0. Got -0.1."):
        least_reward(problem, 0.0, -0.1)
