"""D11: the fixed point of alternating RL and SFT, against the alternation itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlace.errors import DataError
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import allowed, interleaving_cycle, joint_optimum, regret

from .problems import make_problem, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)
times = st.floats(-3.0, 1.5).map(lambda exponent: 10.0**exponent)
weights = st.floats(0.02, 1.0)


def rl(problem, policy, rl_time):
    return normalised(policy * np.exp(rl_time * (problem.reward - problem.reward.max(axis=1, keepdims=True))))


def sft(problem, policy, weight):
    return (1.0 - weight) * policy + weight * problem.expert


@st.composite
def wide_problems(draw):
    problem = draw(problems())
    if draw(st.booleans()):
        problem = FiniteProblem(problem.prompts, problem.expert, problem.reference, problem.reward)
    return problem


@given(wide_problems(), times, weights)
def test_D11_a_cycle_comes_back_to_where_it_was(problem, rl_time, sft_weight):
    cycle = interleaving_cycle(problem, rl_time, sft_weight)
    for policy in cycle:
        assert np.allclose(policy.sum(axis=1), 1.0, rtol=0.0, atol=1e-12) and (policy >= 0.0).all()
        assert not policy[~allowed(problem)].any()
    assert np.allclose(cycle.after_rl, rl(problem, cycle.after_sft, rl_time), rtol=1e-9, atol=1e-12)
    assert np.allclose(cycle.after_sft, sft(problem, cycle.after_rl, sft_weight), rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(wide_problems(), seeds, st.floats(0.05, 5.0), st.floats(0.05, 1.0))
def test_D11_the_alternation_converges_to_it_from_any_full_start(problem, seed, rl_time, sft_weight):
    rng = np.random.default_rng(seed)
    policy = normalised(allowed(problem) * rng.gamma(0.5, size=problem.reward.shape).clip(1e-9))
    cycle = interleaving_cycle(problem, rl_time, sft_weight)
    ties = cycle.after_sft.copy()  # ties of the mass left over keep the start's proportions, here the reference's
    start = np.where(problem.expert > 0.0, policy, problem.reference)
    policy = normalised(start)
    for _ in range(20_000):
        after = sft(problem, rl(problem, policy, rl_time), sft_weight)
        if np.abs(after - policy).max() < 1e-15:
            break
        policy = after
    assert np.allclose(policy, ties, rtol=1e-6, atol=1e-9)


@given(wide_problems(), times, weights)
def test_D11_after_sft_is_w_zeta_expert_over_zeta_minus_exp(problem, rl_time, sft_weight):
    """zeta by bisection in loops, rewards counted from the best one allowed."""
    after = interleaving_cycle(problem, rl_time, sft_weight).after_sft
    for x, (expert, reward) in enumerate(zip(problem.expert, problem.reward, strict=True)):
        top = max(r for r, ok in zip(reward, allowed(problem)[x], strict=True) if ok)
        growth = [math.exp(rl_time * (r - top)) for r in reward]
        seen = [(p, e) for p, e in zip(expert, growth, strict=True) if p > 0.0]
        low, high = 0.0, 1.0  # of v = 1 - max e/zeta
        best = max(e for _, e in seen)
        for _ in range(200):
            v = 0.5 * (low + high)
            total = math.fsum(sft_weight * p / ((1.0 - e / best) + v * e / best) for p, e in seen)
            low, high = (v, high) if total > 1.0 else (low, v)
        off = [e for p, e, ok in zip(expert, growth, allowed(problem)[x], strict=True) if p == 0.0 and ok]
        if off and best < max(off) * (1.0 - high):  # e^{h r_o} > zeta
            high = 1.0 - best / max(off)
        for y, p in enumerate(expert):
            if p > 0.0:
                ideal = sft_weight * p / ((1.0 - growth[y] / best) + high * growth[y] / best)
                assert after[x, y] == pytest.approx(ideal, rel=1e-6, abs=1e-10)
            elif growth[y] < max(off, default=2.0):
                assert after[x, y] == 0.0


def tangent(policy, target, weight):
    """Of the angle between two vectors in the inner product sum a b weight."""
    cross, target_square = (policy * target * weight).sum(), (target * target * weight).sum()
    policy_square = (policy * policy * weight).sum()
    return math.sqrt(max(0.0, policy_square * target_square / cross**2 - 1.0))


@given(seeds, st.floats(0.01, 5.0), st.floats(0.02, 0.98))
def test_D11_every_cycle_brings_it_closer_by_the_factor(seed, rl_time, sft_weight):
    """M = (1 - w) diag(e) + w p_D e^T is symmetric in the inner product of weight e/p_D."""
    rng = np.random.default_rng(seed)
    problem = make_problem(rng, 1, 5, "continuous", "dense")
    present = problem.expert[0] > 0.0
    problem = one_prompt(problem.reference[0][present], problem.expert[0][present], problem.reward[0][present])
    expert, growth = problem.expert[0], np.exp(rl_time * (problem.reward[0] - problem.reward[0].max()))
    factor = 1.0 - sft_weight * expert[problem.reward[0].argmax()]
    target = interleaving_cycle(problem, rl_time, sft_weight).after_sft
    policy = normalised(rng.gamma(0.3, size=target.shape).clip(1e-9))
    for _ in range(6):
        after = sft(problem, rl(problem, policy, rl_time), sft_weight)
        before, behind = (tangent(p[0], target[0], growth / expert) for p in (policy, after))
        assert behind <= factor * before * (1.0 + 1e-9) + 1e-7
        assert np.abs(after - target).sum() <= factor * np.abs(policy - target).sum() + 1e-12  # seen, not proved
        policy = after


@pytest.mark.parametrize("expert", [0.1, 0.5, 0.9, 1.0 - 1e-6])
@pytest.mark.parametrize("rl_time", [1e-6, 0.3, 3.0])
def test_D11_factor_is_the_second_eigenvalue_over_the_first(expert, rl_time):
    """Two responses. The bound is attained by a perfect expert in short cycles."""
    problem, weight = one_prompt([0.5, 0.5], [1.0 - expert, expert], [0.0, 1.0]), 0.3
    growth = np.exp(rl_time * problem.reward[0])
    values, vectors = np.linalg.eig((1 - weight) * np.diag(growth) + weight * np.outer(problem.expert[0], growth))
    first, second = values.argmax(), values.argmin()
    after = interleaving_cycle(problem, rl_time, weight).after_sft[0]
    assert np.allclose(after, vectors[:, first] / vectors[:, first].sum(), rtol=1e-9)
    assert values[second] / values[first] <= 1.0 - weight * expert
    if expert > 0.99 and rl_time < 1e-3:
        assert values[second] / values[first] == pytest.approx(1.0 - weight * expert, rel=1e-5)


def test_D11_without_the_experts_support_the_approach_can_be_slow():
    """Condition violated: e^{h r_o} = zeta exactly, r_o off the expert. 1/pi_o grows by e^{h r_o} - 1 a cycle: 1/n."""
    weight = 0.5
    problem = one_prompt([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    rl_time = -math.log1p(-weight)
    policy = problem.reference
    for _ in range(1000):
        policy = sft(problem, rl(problem, policy, rl_time), weight)
    assert policy[0, 1] == pytest.approx(1.0 / (2.0 + 1000.0), rel=1e-9)
    assert interleaving_cycle(problem, rl_time, weight).after_sft[0, 1] == pytest.approx(0.0, abs=1e-15)


def test_D11_a_start_without_a_response_never_finds_it():
    """Condition violated: the start gives no best response, nor does the expert."""
    problem = one_prompt([0.2, 0.3, 0.5], [0.5, 0.5, 0.0], [0.0, 0.5, 3.0])
    policy = np.array([[0.5, 0.5, 0.0]])
    for _ in range(500):
        policy = sft(problem, rl(problem, policy, 1.0), 0.2)
    assert policy[0, 2] == 0.0 and interleaving_cycle(problem, 1.0, 0.2).after_sft[0, 2] > 0.5


def test_D11_mass_left_over_sits_on_the_best_response_off_the_expert():
    """r_o = log 4 at h = 1: zeta = 4, w p_D zeta/(zeta - 1) = 2/3 stays for w = 1/2, ties 1 to 2."""
    problem = one_prompt([0.1, 0.2, 0.4, 0.3], [1.0, 0.0, 0.0, 0.0], [0.0, math.log(4.0), math.log(4.0), 1.0])
    cycle = interleaving_cycle(problem, 1.0, 0.5)
    assert np.allclose(cycle.after_sft, [[2 / 3, 1 / 9, 2 / 9, 0.0]], rtol=1e-12)
    assert np.allclose(cycle.after_rl, [[1 / 3, 2 / 9, 4 / 9, 0.0]], rtol=1e-12)


def policies_of_a_cycle(problem, exchange_rate, rl_time):
    cycle = interleaving_cycle(problem, rl_time, -math.expm1(-exchange_rate * rl_time))
    mean = 0.5 * (cycle.after_sft + cycle.after_rl)
    return [*cycle, mean, rl(problem, cycle.after_sft, 0.5 * rl_time)]


@settings(max_examples=40)
@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")), st.floats(0.2, 5.0), st.booleans())
def test_D11_short_cycles_approach_the_joint_optimum(problem, exchange_rate, better_off_expert):
    if better_off_expert:
        reward = np.where((problem.expert == 0.0) & problem.support, problem.reward + 2.0, problem.reward)
        problem = FiniteProblem(problem.prompts, problem.reference, problem.expert, reward)
    optimum = joint_optimum(problem, exchange_rate)
    distances, regrets = [], []
    for rl_time in (4e-3, 1e-3):
        policies = policies_of_a_cycle(problem, exchange_rate, rl_time)
        distances.append([np.abs(policy - optimum).max() for policy in policies])
        regrets.append([regret(problem, policy, exchange_rate) for policy in policies[:2]])
    orders = [4.5, 4.5, 20.0, 20.0]  # a quarter of the time: a quarter of the distance, a sixteenth of it
    for long, short, order in zip(*distances, orders, strict=True):
        assert short <= 0.1 and (short >= long / order or long < 1e-6)
    assert max(distances[1][2:]) <= 1e-4  # second order
    for end in (0, 1):
        assert distances[1][end] <= distances[0][end] / 3.5 + 1e-9
        assert distances[1][end + 2] <= distances[0][end + 2] / 13.0 + 1e-10
        assert regrets[1][end] <= regrets[0][end] / 13.0 + 1e-12


def test_D11_orders_of_short_cycles_in_numbers():
    problem = one_prompt([0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.0, 0.5, 1.0])
    optimum = joint_optimum(problem, 0.7)
    table = [[np.abs(policy - optimum).max() for policy in policies_of_a_cycle(problem, 0.7, h)] for h in (0.1, 0.01)]
    ratios = np.array(table[0]) / np.array(table[1])
    assert np.allclose(ratios[:2], 10.0, rtol=0.1) and np.allclose(ratios[2:], 100.0, rtol=0.1)


def test_D11_ends():
    problem = one_prompt([0.2, 0.3, 0.1, 0.4], [0.0, 0.5, 0.3, 0.2], [-5.0, 0.0, 1.0, 1.0])
    assert np.allclose(interleaving_cycle(problem, 0.0, 0.3).after_sft, problem.expert, rtol=1e-15)
    assert np.allclose(interleaving_cycle(problem, 2.0, 1.0).after_sft, problem.expert, rtol=1e-15)
    for rl_time in (1e3, 1e6, math.inf):  # RL leaves the best responses alone
        cycle = interleaving_cycle(problem, rl_time, 0.4)
        assert np.allclose(cycle.after_rl, [[0.0, 0.0, 0.6, 0.4]], rtol=1e-14)
        assert np.allclose(cycle.after_sft, 0.6 * cycle.after_rl + 0.4 * problem.expert, rtol=1e-14)
    taught = one_prompt([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    assert interleaving_cycle(taught, math.inf, 0.4).after_sft.tolist() == [[0.4, 0.6]]


@pytest.mark.parametrize(
    ("rl_time", "sft_weight", "message"),
    [
        (-0.1, 0.5, r"rl_time must be at least 0\. Got -0\.1\."),
        (math.nan, 0.5, r"rl_time must be at least 0\. Got nan\."),
        (1.0, 0.0, r"sft_weight must be in \(0, 1\]\. Got 0\.0\."),
        (1.0, 1.1, r"sft_weight must be in \(0, 1\]\. Got 1\.1\."),
    ],
)
def test_D11_refuses_parts_that_are_none(rl_time, sft_weight, message):
    with pytest.raises(DataError, match=message):
        interleaving_cycle(one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0]), rl_time, sft_weight)


@pytest.mark.parametrize("rl_time", [1.0, 40.0, 1e6])
def test_D11_whole_sft_arrives_at_the_expert(rl_time):
    """The rarest of its responses included: RL then finds it."""
    problem = one_prompt([0.5, 0.5], [1.0 - 1e-17, 1e-17], [0.0, 1.0])
    cycle = interleaving_cycle(problem, rl_time, 1.0)
    assert (cycle.after_sft == problem.expert).all()
    odds = rl_time + np.log(1e-17)
    assert cycle.after_rl[0, 1] == pytest.approx(1.0 / (1.0 + np.exp(-odds)), rel=1e-9)
