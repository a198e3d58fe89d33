"""D10: the price of decoupling, against dense searches over durations and its series at large exchange rates."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from interlace.errors import DataError
from interlace.theory import finite
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import best_pipeline, joint_value, price_of_decoupling

from .problems import make_problem, mean, one_prompt, problems

rates = st.floats(-2.0, 2.0).map(lambda exponent: 10.0**exponent)
seeds = st.integers(0, 2**32 - 1)


def worths(problem, policies, exchange_rate):
    """R - lambda L of policies ``[..., prompt, response]``."""
    with np.errstate(divide="ignore"):
        logs = np.where(problem.expert > 0.0, np.log(policies), 0.0)
    rows = (policies * problem.reward + exchange_rate * problem.expert * logs).sum(axis=-1)
    return rows[..., problem.prompts > 0.0] @ problem.prompts[problem.prompts > 0.0]


def tilts(start, reward, times):
    """Policies start exp(tau r)/Z, one a finite time."""
    top = np.where(start > 0.0, reward, -np.inf).max(axis=-1, keepdims=True)
    with np.errstate(under="ignore"):
        weights = start * np.exp(np.minimum(np.asarray(times)[:, None, None] * (reward - top), 0.0))
    return weights / weights.sum(axis=-1, keepdims=True)


def blend(problem, policies, weights):
    """Every policy with every weight of the expert."""
    weights = np.asarray(weights)[:, None, None, None]
    return (1.0 - weights) * policies + weights * problem.expert


TIMES = np.concatenate([np.linspace(0.0, 60.0, 1201), np.geomspace(60.0, 1e4, 200)])


@settings(max_examples=60)
@given(problems(), rates)
def test_D10_rl_after_sft_is_the_best_of_all_times(problem, exchange_rate):
    pipeline = best_pipeline(problem, exchange_rate, "sft_rl")
    assert pipeline.sft_weight == 1.0 and pipeline.price >= 0.0
    best = joint_value(problem, exchange_rate)
    rounding = 1e-12 * (1.0 + 10.0 * exchange_rate)
    policy = tilts(problem.expert, problem.reward, [min(pipeline.rl_time, 1e6)])
    assert pipeline.price == pytest.approx(best - worths(problem, policy, exchange_rate)[0], rel=1e-9, abs=rounding)
    others = worths(problem, tilts(problem.expert, problem.reward, TIMES), exchange_rate)
    assert pipeline.price <= best - others.max() + rounding


@settings(max_examples=12)
@given(problems(), rates)
def test_D10_sft_after_rl_is_the_best_of_both_durations(problem, exchange_rate):
    pipeline = best_pipeline(problem, exchange_rate, "rl_sft")
    best = joint_value(problem, exchange_rate)
    rounding = 1e-12 * (1.0 + 10.0 * exchange_rate)
    policy = tilts(problem.reference, problem.reward, [min(pipeline.rl_time, 1e6)])
    mixed = blend(problem, policy, [pipeline.sft_weight])[0]
    assert pipeline.price == pytest.approx(best - worths(problem, mixed, exchange_rate)[0], rel=1e-9, abs=rounding)
    near_ends = np.geomspace(1e-4, 0.1, 13)
    weights = np.concatenate([[0.0], near_ends, np.linspace(0.12, 0.88, 20), 1.0 - near_ends, [1.0]])
    others = blend(problem, tilts(problem.reference, problem.reward, TIMES[::4]), weights)
    assert 0.0 <= pipeline.price <= best - worths(problem, others, exchange_rate).max() + rounding


@settings(max_examples=5)
@given(seeds, rates)
def test_D10_sft_after_rl_is_not_beaten_by_a_local_search_from_many_starts(seed, exchange_rate):
    problem = make_problem(np.random.default_rng(seed), 3, 4, "continuous", "dense")

    def cost(point):
        policies = blend(problem, tilts(problem.reference, problem.reward, point[:1]), point[1:])
        return -float(worths(problem, policies, exchange_rate)[0, 0])

    found = -min(
        optimize.minimize(cost, start, method="Nelder-Mead", bounds=[(0.0, 200.0), (0.0, 1.0)],
                          options={"xatol": 1e-7, "fatol": 1e-13}).fun
        for start in ([0.1, 0.5], [1.0, 0.1], [2.0, 0.9], [5.0, 0.5], [10.0, 0.3], [30.0, 0.7])
    )  # fmt: skip
    price = joint_value(problem, exchange_rate) - found
    assert price_of_decoupling(problem, exchange_rate, "rl_sft") <= price + 1e-12 * (1.0 + 10.0 * exchange_rate)


@pytest.mark.parametrize("exchange_rate", [0.3, 0.86, 2.0])
def test_D10_sft_after_rl_finds_the_better_of_two_optima(exchange_rate):
    """Three binary prompts that turn at RL times 2, 40 and 100: the price has two valleys at 0.86."""
    reference, expert = np.array([5e-2, 2e-8, 3e-7]), np.array([0.55, 0.24, 0.81])
    problem = FiniteProblem(
        np.array([0.68, 0.24, 0.08]), np.column_stack([1.0 - reference, reference]),
        np.column_stack([1.0 - expert, expert]), np.array([[0.0, 1.6], [0.0, 0.43], [0.0, 0.15]]),
    )  # fmt: skip
    times = np.linspace(0.0, 200.0, 801)
    policies = tilts(problem.reference, problem.reward, times)
    others = worths(problem, blend(problem, policies, np.linspace(0.0, 1.0, 401)), exchange_rate)
    prices = joint_value(problem, exchange_rate) - others.max(axis=0)
    if exchange_rate == 0.86:
        valleys = times[1:-1][(prices[1:-1] < prices[:-2]) & (prices[1:-1] < prices[2:])]
        assert valleys.min() < 50.0 and valleys.max() > 90.0
    assert price_of_decoupling(problem, exchange_rate, "rl_sft") <= prices.min()
    assert price_of_decoupling(problem, exchange_rate, "rl_sft") == pytest.approx(prices.min(), rel=1e-2)


@settings(max_examples=8)
@given(problems(rewards=("binary",), experts=("reference",)), st.floats(-2.0, 5.0).map(lambda e: 10.0**e))
def test_D10_from_the_expert_itself_rl_alone_is_among_both_orders(problem, exchange_rate):
    """RL is then best for a time of about 1/lambda, however short that is."""
    either, sft_first = (price_of_decoupling(problem, exchange_rate, order) for order in ("rl_sft", "sft_rl"))
    assert either <= sft_first * (1.0 + 1e-6) + 1e-15


def sft_rl_constant(problem):
    """[E_x Var((r - R_D,x)^2) - (E_x k3)^2/V]/8 under the expert."""
    means = (problem.expert * problem.reward).sum(axis=1)
    moments = [mean(problem, problem.expert, (problem.reward - means[:, None]) ** power) for power in (2, 3, 4)]
    squares = math.fsum(
        weight * sum(p * (r - m) ** 2 for p, r in zip(row, rewards, strict=True)) ** 2
        for weight, row, rewards, m in zip(problem.prompts, problem.expert, problem.reward, means, strict=True)
    )
    return (moments[2] - squares - moments[1] ** 2 / moments[0]) / 8.0


@settings(max_examples=30)
@given(seeds, st.integers(1, 3), st.sampled_from(["continuous", "binary"]), st.booleans())
def test_D10_price_of_sft_then_rl_falls_as_the_cube(seed, num_prompts, rewards, gaps):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng, num_prompts, 6, rewards, "dense")
    if gaps:
        expert = problem.expert * (np.arange(6) != 1)
        expert /= expert.sum(axis=1, keepdims=True)
        problem = FiniteProblem(problem.prompts, problem.reference, expert, problem.reward)
    constant = sft_rl_constant(problem)
    width = finite.reward_range(problem)
    if constant > 1e-5 * width**4:
        rates = (300.0 * width, 3000.0 * width)
        scaled = [price_of_decoupling(problem, rate, "sft_rl") * rate**3 for rate in rates]
        errors = [abs(value / constant - 1.0) for value in scaled]
        assert errors[1] < 0.05 and errors[1] < errors[0] + 1e-3


@given(problems(rewards=("binary",)), rates)
def test_D10_price_of_sft_then_rl_is_zero_for_one_prompt_and_binary_reward(problem, exchange_rate):
    one = FiniteProblem(np.ones(1), problem.reference[:1], problem.expert[:1], problem.reward[:1])
    right_sometimes = finite.expected_reward(one, one.expert) > 0.0
    if right_sometimes or exchange_rate >= 1.0:
        assert price_of_decoupling(one, exchange_rate, "sft_rl") < 1e-14 * (1.0 + exchange_rate)


def test_D10_as_first_stated_is_wrong_for_an_expert_that_is_never_right():
    """'Exactly 0 for one prompt and binary r': not if the reference is right at times, and lambda < 1."""
    problem = one_prompt([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    assert price_of_decoupling(problem, 0.5, "sft_rl") == pytest.approx(0.5 - 0.5 * math.log(2.0), rel=1e-12)
    assert price_of_decoupling(problem, 1.0, "sft_rl") == 0.0


def test_D10_two_binary_prompts_have_a_price():
    problem = FiniteProblem(np.full(2, 0.5), np.full((2, 2), 0.5), np.array([[0.9, 0.1], [0.3, 0.7]]),
                            np.array([[0.0, 1.0], [0.0, 1.0]]))  # fmt: skip
    assert price_of_decoupling(problem, 1.0, "sft_rl") > 1e-3


def rl_sft_constant(problem):
    """[V - sup over tau of (R - R_D)_+^2/X2(pi_tau, p_D)]/2, X2 = inf outside the expert's support."""
    times = np.concatenate([np.linspace(0.0, 60.0, 2401), np.geomspace(60.0, 1e5, 3000), [1e9]])
    policies = tilts(problem.reference, problem.reward, times)
    gains = np.maximum((policies * problem.reward).sum(axis=-1) @ problem.prompts - problem.expert_reward, 0.0)
    seen = problem.expert > 0.0
    squares = ((policies - problem.expert) ** 2 / np.where(seen, problem.expert, 1.0) * seen).sum(axis=-1)
    squares = squares + np.where((policies > 0.0) & ~seen, np.inf, 0.0).sum(axis=-1)
    return (finite.reward_variance(problem, problem.expert) - (gains**2 / (squares @ problem.prompts)).max()) / 2.0


@settings(max_examples=8)
@given(seeds, st.integers(1, 3))
def test_D10_price_of_rl_then_sft_falls_as_the_inverse(seed, num_prompts):
    problem = make_problem(np.random.default_rng(seed), num_prompts, 4, "continuous", "dense")
    constant = rl_sft_constant(problem)
    if constant > 1e-3:
        scaled = [price_of_decoupling(problem, rate, "rl_sft") * rate / constant for rate in (1e3, 1e5)]
        assert scaled == pytest.approx([1.0, 1.0], abs=0.05) and abs(scaled[1] - 1.0) < 2e-3


def test_D10_needs_no_common_support_if_an_infinite_chi_square_counts_as_nothing_gained():
    """The reference gives what the expert never does: finite tau gain nothing, the end of the path does."""
    problem = FiniteProblem(
        np.array([0.5, 0.5]), np.array([[0.3, 0.4, 0.3], [0.2, 0.3, 0.5]]),
        np.array([[0.0, 0.4, 0.6], [0.0, 0.7, 0.3]]), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.3]]),
    )  # fmt: skip
    constant = rl_sft_constant(problem)
    variance = finite.reward_variance(problem, problem.expert)
    assert 0.1 * variance < constant < 0.45 * variance
    assert price_of_decoupling(problem, 1e5, "rl_sft") * 1e5 == pytest.approx(constant, rel=1e-3)
    reward = problem.reward + np.array([2.0, 0.0, 0.0])
    off = FiniteProblem(problem.prompts, problem.reference, problem.expert, reward)
    assert rl_sft_constant(off) == pytest.approx(variance / 2.0)  # the path ends outside the expert's support
    pipeline = best_pipeline(off, 1e5, "rl_sft")
    assert pipeline.sft_weight == 1.0 and pipeline.price * 1e5 == pytest.approx(variance / 2.0, rel=1e-3)


def test_D10_the_order_matters():
    """Near the expert RL last is the efficient one; RL first is, where only the reference knows the best response."""
    problem = one_prompt([0.5, 0.2, 0.3], [0.2, 0.5, 0.3], [0.0, 0.5, 1.0])
    assert price_of_decoupling(problem, 30.0, "sft_rl") < 1e-3 * price_of_decoupling(problem, 30.0, "rl_sft")
    taught = one_prompt([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    assert price_of_decoupling(taught, 0.5, "rl_sft") < 1e-12 < 0.1 < price_of_decoupling(taught, 0.5, "sft_rl")


def test_D10_stages_that_are_not_worth_their_cost_are_left_out():
    flat = one_prompt([0.9, 0.1], [0.5, 0.5], [0.3, 0.3])
    assert best_pipeline(flat, 1.0, "sft_rl") == (0.0, 1.0, 0.0)
    assert best_pipeline(flat, 1.0, "rl_sft") == (0.0, 1.0, 0.0)
    missing = one_prompt([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])  # the reference cannot give the right answer
    assert best_pipeline(missing, 1.0, "rl_sft")[:2] == (0.0, 1.0)
    assert 0.0 < best_pipeline(missing, 1.0, "rl_sft").price < math.inf


def test_D10_holds_at_extreme_rates():
    problem = make_problem(np.random.default_rng(1), 3, 6, "continuous", "dense")
    for order in ("sft_rl", "rl_sft"):
        prices = [price_of_decoupling(problem, rate, order) for rate in (1e-9, 1e9)]
        assert all(0.0 <= price < 1e-6 for price in prices)


def test_D10_refuses_other_orders_and_rates():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    message = "order must be one of rl_sft, sft_rl. Got 'sft-rl'. Did you mean 'sft_rl'?"
    with pytest.raises(DataError, match=re.escape(message)):
        price_of_decoupling(problem, 1.0, "sft-rl")
    for order in ("sft_rl", "rl_sft"):
        with pytest.raises(DataError, match=r"exchange_rate must be positive and finite\. Got 0\.0\."):
            price_of_decoupling(problem, 0.0, order)
