"""A6 and A7: the tradeoff of reward against SFT loss, and what leaving the optimum of regularised RL costs."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize

from interlace.errors import DataError
from interlace.theory import distributional as A
from interlace.theory import finite
from interlace.theory.finite import FiniteProblem

from .problems import divergence, loss, make_policy, mean, normalised, one_prompt, problems, tilted

rates = st.floats(-3.0, 2.0).map(lambda exponent: 10.0**exponent)
varied = problems(rewards=("binary", "continuous"))
IMPERFECT = ("dense", "sparse", "reference")


def phi(problem, exchange_rate, rl_time):
    """R - lambda L of the tilt, response by response."""
    policy = tilted(problem, rl_time)
    return mean(problem, policy, problem.reward) - exchange_rate * loss(problem, policy)


TWO_PROMPTS = FiniteProblem(
    prompts=np.array([0.5, 0.5]),
    reference=np.array([[0.9995, 0.0005], [0.4, 0.6]]),
    expert=np.array([[0.5, 0.5], [0.75, 0.25]]),
    reward=np.array([[0.0, 1.0], [0.0, 1.0]]),
)
"""Two binary prompts, one of them almost hopeless at first: SFT loss is worth stopping for twice."""


# ------------------------------------------------------------------------------------------------------------------- A6


@given(problems(), rates, st.floats(0.0, 30.0))
def test_A6_tradeoff_and_slope_are_what_loops_give(problem, exchange_rate, rl_time):
    assert np.isclose(A.tradeoff(problem, exchange_rate, rl_time), phi(problem, exchange_rate, rl_time), rtol=1e-9)
    policy = tilted(problem, rl_time)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    slope = finite.reward_variance(problem, policy) - exchange_rate * gap
    assert np.isclose(
        A.tradeoff_slope(problem, exchange_rate, rl_time), slope, rtol=1e-9, atol=1e-12 * (1 + exchange_rate)
    )


@given(varied, rates, st.floats(0.01, 8.0))
def test_A6_derivatives_are_finite_differences(problem, exchange_rate, rl_time):
    h = 1e-4
    around = [phi(problem, exchange_rate, rl_time + step) for step in (-h, h)]
    slopes = [A.tradeoff_slope(problem, exchange_rate, rl_time + step) for step in (-h, h)]
    policy = tilted(problem, rl_time)
    curvature = finite.third_central_moment(problem, policy) - exchange_rate * finite.reward_variance(problem, policy)
    scale = 1.0 + exchange_rate
    assert (around[1] - around[0]) / (2 * h) == pytest.approx(
        A.tradeoff_slope(problem, exchange_rate, rl_time), abs=1e-6 * scale
    )
    assert (slopes[1] - slopes[0]) / (2 * h) == pytest.approx(curvature, abs=1e-5 * scale)


@given(problems(experts=IMPERFECT), rates)
def test_A6_no_time_is_better_than_the_optimal_one(problem, exchange_rate):
    """Brute force: a fine grid from 0 to far beyond where anything moves."""
    best = A.optimal_rl_time(problem, exchange_rate)
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 600.0, 4000)])
    reached = A.tradeoff(problem, exchange_rate, best)
    by_loops = [phi(problem, exchange_rate, rl_time) for rl_time in grid[grid < 60.0][::40]]
    assert max(by_loops) <= reached + 1e-12 * (1.0 + abs(reached))
    fine = A.tradeoff(problem, exchange_rate, grid)
    assert fine.max() <= reached + 1e-12 * (1.0 + np.abs(fine).max())


@given(problems(rewards=("binary", "continuous"), experts=IMPERFECT), rates)
def test_A6_the_optimal_time_is_stationary_to_the_last_digits(problem, exchange_rate):
    best = A.optimal_rl_time(problem, exchange_rate)
    assume(0.0 < best < math.inf)
    near = optimize.brentq(
        lambda t: A.tradeoff_slope(problem, exchange_rate, t), best * 0.999, best * 1.001, xtol=1e-14
    )
    assert best == pytest.approx(near, rel=1e-9)
    policy = tilted(problem, best)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assert finite.reward_variance(problem, policy) == pytest.approx(exchange_rate * gap, rel=1e-8, abs=1e-12)


def test_A6_two_binary_prompts_can_have_a_maximum_a_minimum_and_a_maximum():
    """The counter-example to stopping at the first downward crossing, and it is the later maximum that wins."""
    grid = np.linspace(0.0, 20.0, 2001)
    counts = {}
    for exchange_rate in (0.05, 0.1, 0.2, 0.3, 2.0):
        slopes = A.tradeoff_slope(TWO_PROMPTS, exchange_rate, grid)
        crossings = [i for i in range(2000) if slopes[i] > 0.0 >= slopes[i + 1]]
        maxima = len(crossings) + (slopes[0] < 0.0)
        assert A.tradeoff_is_unimodal(TWO_PROMPTS, exchange_rate) == (maxima == 1)
        counts[exchange_rate] = maxima
        best = A.optimal_rl_time(TWO_PROMPTS, exchange_rate)
        assert A.tradeoff(TWO_PROMPTS, exchange_rate, best) >= A.tradeoff(TWO_PROMPTS, exchange_rate, grid).max()
        if maxima == 2 and crossings:
            assert best > grid[crossings[0]] + 1.0 or best <= grid[crossings[0] + 1]
    assert 2 in counts.values() and counts[2.0] == 1


def spread_prompts(seed):
    """Prompts whose pass rates lie orders of magnitude apart: each turns at an RL time of its own."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    rates = 10.0 ** -(0.3 + 4.0 * np.arange(count) + rng.uniform(0.0, 2.0, count))
    return finite.binary_problem(rates, rng.uniform(0.0, 0.2, count)), 10.0 ** rng.uniform(-1.5, -0.3)


def maxima_on(grid, problem, exchange_rate):
    slopes = A.tradeoff_slope(problem, exchange_rate, grid)
    return int((slopes[0] < 0.0) + ((slopes[:-1] > 0.0) & (slopes[1:] <= 0.0)).sum())


DENSE = np.linspace(0.0, 60.0, 24_001)


@pytest.mark.parametrize("seed", range(40))
def test_A6_none_of_many_maxima_is_missed(seed):
    problem, exchange_rate = spread_prompts(seed)
    assert A.tradeoff_is_unimodal(problem, exchange_rate) == (maxima_on(DENSE, problem, exchange_rate) == 1)
    reached = A.tradeoff(problem, exchange_rate, A.optimal_rl_time(problem, exchange_rate))
    assert reached >= A.tradeoff(problem, exchange_rate, DENSE).max() - 1e-14


def test_A6_many_maxima_are_there_to_be_missed():
    coarse = DENSE[::20]
    counts = [maxima_on(coarse, *spread_prompts(seed)) for seed in range(40)]
    assert sum(count >= 2 for count in counts) >= 20 and sum(count >= 3 for count in counts) >= 5


def test_A6_a_fall_at_the_start_is_a_maximum():
    """RL first loses (the easy prompt is past its parity), later wins (the rare pass)."""
    problem = finite.binary_problem(np.array([0.9, 1e-6]), np.array([0.1, 0.2]))
    assert A.tradeoff_slope(problem, 0.18, 0.0) < 0.0 < A.tradeoff_slope(problem, 0.18, 13.8)
    assert not A.tradeoff_is_unimodal(problem, 0.18)


@given(varied, st.integers(0, 2**32 - 1))
def test_A6_one_maximum_if_a_nat_is_worth_more_than_the_range_of_reward(problem, seed):
    exchange_rate = finite.reward_range(problem) * (1.0 + np.random.default_rng(seed).random())
    assert A.tradeoff_is_unimodal(problem, exchange_rate)
    slopes = A.tradeoff_slope(problem, exchange_rate, np.linspace(0.0, 20.0, 500))
    assert not ((slopes[:-1] < -1e-12) & (slopes[1:] > 1e-12)).any()


@given(problems(rewards=("binary", "continuous")), rates)
def test_A6_unimodal_means_no_upward_crossing(problem, exchange_rate):
    slopes = A.tradeoff_slope(problem, exchange_rate, np.concatenate([[0.0], np.geomspace(1e-4, 200.0, 3000)]))
    if A.tradeoff_is_unimodal(problem, exchange_rate):
        assert not ((slopes[:-1] < -1e-12) & (slopes[1:] > 1e-12)).any()


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), rates)
def test_A6_one_binary_prompt_has_one_maximum_in_closed_form(pass_rate, expert_rate, exchange_rate):
    """p (1 - p) = lambda (p - R_D) is a quadratic in the pass rate."""
    problem = one_prompt([1 - pass_rate, pass_rate], [1 - expert_rate, expert_rate], [0.0, 1.0])
    half = (1.0 - exchange_rate) / 2.0
    best = half + math.sqrt(half**2 + exchange_rate * expert_rate)
    odds = best / (1.0 - best) / (pass_rate / (1.0 - pass_rate))
    assert A.tradeoff_is_unimodal(problem, exchange_rate)
    assert A.optimal_rl_time(problem, exchange_rate) == pytest.approx(max(0.0, math.log(odds)), rel=1e-8, abs=1e-9)


def test_A6_the_ends():
    flat = one_prompt([0.5, 0.5], [0.2, 0.8], [1.0, 1.0])
    perfect = one_prompt([0.5, 0.5], [0.0, 1.0], [0.0, 1.0])
    imperfect = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert A.optimal_rl_time(flat, 0.0) == A.optimal_rl_time(flat, 1.0) == 0.0
    assert A.optimal_rl_time(perfect, 5.0) == A.optimal_rl_time(imperfect, 0.0) == math.inf
    assert A.optimal_rl_time(one_prompt([0.01, 0.99], [0.9, 0.1], [0.0, 1.0]), 1.0) == 0.0
    assert all(A.tradeoff_is_unimodal(problem, rate) for problem in (flat, perfect) for rate in (0.0, 1.0))
    assert A.tradeoff(perfect, 1.0, math.inf) == 1.0 and A.tradeoff(imperfect, 1.0, math.inf) == -math.inf
    assert A.tradeoff(imperfect, 0.0, math.inf) == 1.0


def test_A6_a_prompt_of_weight_0_does_not_count():
    with_it = FiniteProblem(np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.9, 0.1]]), np.full((2, 2), 0.5),
                            np.array([[0.0, 1.0], [0.0, 1e6]]))  # fmt: skip
    without = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert A.optimal_rl_time(with_it, 1.0) == pytest.approx(A.optimal_rl_time(without, 1.0), rel=1e-12)


@pytest.mark.parametrize("exchange_rate", [-0.1, math.inf, math.nan])
def test_A6_refuses_an_exchange_rate_that_is_none(exchange_rate):
    for call in (lambda: A.tradeoff(TWO_PROMPTS, exchange_rate, 1.0),
                 lambda: A.tradeoff_slope(TWO_PROMPTS, exchange_rate, 1.0),
                 lambda: A.optimal_rl_time(TWO_PROMPTS, exchange_rate),
                 lambda: A.tradeoff_is_unimodal(TWO_PROMPTS, exchange_rate)):  # fmt: skip
        with pytest.raises(DataError, match="exchange_rate must be at least 0 and finite"):
            call()


def test_A6_is_linear_in_memory():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(64, 0.3), size=(2, 4096))
    problem = FiniteProblem(np.full(4096, 1 / 4096), rows[0], rows[1], rng.normal(size=(4096, 64)))
    tracemalloc.start()
    assert 0.0 < A.optimal_rl_time(problem, 0.05) < math.inf
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * problem.reference.nbytes


# ------------------------------------------------------------------------------------------------------------------- A7


@given(problems(), st.floats(-1.0, 3.0).map(lambda exponent: 10.0**exponent), st.integers(0, 2**32 - 1))
def test_A7_what_a_policy_loses_of_the_regularised_reward(problem, kl_coefficient, seed):
    policy = make_policy(np.random.default_rng(seed), problem)

    def objective(of):
        return mean(problem, of, problem.reward) - kl_coefficient * divergence(problem, of, problem.reference)

    best = tilted(problem, 1.0 / kl_coefficient)
    expected = objective(best) - objective(policy)
    assert np.isclose(
        A.regularised_reward_loss(problem, policy, kl_coefficient),
        expected,
        rtol=1e-9,
        atol=1e-12 * (1 + kl_coefficient),
    )
    assert np.isclose(A.regularised_reward(problem, policy, kl_coefficient), objective(policy), rtol=1e-9, atol=1e-12)
    assert np.isclose(A.optimal_regularised_reward(problem, kl_coefficient), objective(best), rtol=1e-9, atol=1e-12)
    assert A.regularised_reward_loss(problem, best, kl_coefficient) == pytest.approx(
        0.0, abs=1e-12 * (1 + kl_coefficient)
    )


@pytest.mark.parametrize("kl_coefficient", [1e-12, 1e-6])
def test_A7_holds_where_the_optimum_underflows(kl_coefficient):
    problem = one_prompt([0.5, 0.3, 0.2], [0.5, 0.5, 0.0], [0.0, 0.5, 1.0])
    policy = np.array([[0.2, 0.2, 0.6]])
    assert A.regularised_reward_loss(problem, policy, kl_coefficient) == pytest.approx(1.0 - 0.7, abs=1e-5)


def test_A7_reward_itself_may_rise_under_sft():
    problem = one_prompt([0.8, 0.2], [0.1, 0.9], [0.0, 1.0])
    after = normalised(0.5 * A.tilted_policy(problem, 1.0) + 0.5 * problem.expert)
    assert A.regularised_reward_loss(problem, after, 1.0) > 0.1
    assert finite.expected_reward(problem, after) > A.tilted_reward(problem, 1.0)


def test_A7_fails_with_another_anchor():
    """Condition violated: the optimum of R - beta KL to another anchor is not where this J is greatest."""
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    anchored = A.tilted_policy(one_prompt([0.9, 0.1], [0.5, 0.5], [0.0, 1.0]), 1.0)
    assert A.regularised_reward_loss(problem, anchored, 1.0) > 0.1


def test_A7_off_the_references_support_nothing_is_left():
    problem = one_prompt([0.0, 1.0], [0.0, 1.0], [0.0, 1.0])
    assert A.regularised_reward_loss(problem, np.array([[0.5, 0.5]]), 1.0) == math.inf
    assert A.regularised_reward(problem, np.array([[0.5, 0.5]]), 1.0) == -math.inf


@pytest.mark.parametrize("kl_coefficient", [0.0, -1.0, math.inf, math.nan])
def test_A7_refuses_a_kl_coefficient_that_is_none(kl_coefficient):
    policy = TWO_PROMPTS.reference
    for call in (lambda: A.regularised_reward(TWO_PROMPTS, policy, kl_coefficient),
                 lambda: A.optimal_regularised_reward(TWO_PROMPTS, kl_coefficient),
                 lambda: A.regularised_reward_loss(TWO_PROMPTS, policy, kl_coefficient)):  # fmt: skip
        with pytest.raises(DataError, match="kl_coefficient must be positive and finite"):
            call()
