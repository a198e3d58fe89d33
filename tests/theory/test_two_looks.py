"""D11 read backwards: the RL time and the SFT time between two policies, from the two objectives alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interlace.estimate import Unresolved
from interlace.theory.finite import FiniteProblem, chi_square, expected_reward, reward_variance, sft_loss
from interlace.theory.frontier import Sides, alternated, interleaving_cycle, joint_optimum, sides_between

from .problems import normalised, one_prompt, problems

times = st.floats(-2.0, 0.0).map(lambda exponent: 10.0**exponent)
rounds = st.integers(1, 6)


def rl(problem, policy, rl_time):
    return normalised(policy * np.exp(rl_time * (problem.reward - problem.reward.max(axis=1, keepdims=True))))


def sft(problem, policy, sft_time):
    return math.exp(-sft_time) * policy - math.expm1(-sft_time) * problem.expert


def read(problem, policy, turns=1):
    return sides_between(problem, expected_reward(problem, policy), sft_loss(problem, policy), turns)


@given(problems(), times, times, rounds)
def test_D11_turns_are_tilts_and_mixtures(problem, rl_time, sft_time, turns):
    policy = problem.reference
    for _ in range(turns):
        policy = sft(problem, rl(problem, policy, rl_time / turns), sft_time / turns)
    assert np.allclose(alternated(problem, rl_time, sft_time, turns), policy, rtol=1e-12, atol=1e-15)


@settings(max_examples=60)
@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse", "perfect")), times, times, rounds)
def test_D11_both_sides_are_read_from_the_two_objectives(problem, share, sft_time, turns):
    rl_time = share / np.ptp(problem.reward)
    found = read(problem, alternated(problem, rl_time, sft_time, turns), turns)
    assume(isinstance(found, Sides))
    assert found.rl_time == pytest.approx(rl_time, rel=1e-3, abs=1e-5)
    assert found.sft_time == pytest.approx(sft_time, rel=1e-3, abs=1e-5)


def two_prompts():
    """Three responses, so that the sides differ."""
    reference = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    expert = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    return FiniteProblem(np.array([0.5, 0.5]), reference, expert, np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))


def test_A4_A8_short_sides_move_the_objectives_by_their_slopes():
    """h V - s G and h G - s X2."""
    problem, h, s = two_prompts(), 1e-6, 2e-6
    policy = problem.reference
    gap = expected_reward(problem, policy) - problem.expert_reward
    after = alternated(problem, h, s)
    reward = h * reward_variance(problem, policy) - s * gap
    loss = h * gap - s * chi_square(problem, problem.expert, policy)
    assert expected_reward(problem, after) - expected_reward(problem, policy) == pytest.approx(reward, rel=1e-4)
    assert sft_loss(problem, after) - sft_loss(problem, policy) == pytest.approx(loss, rel=1e-4)


def test_D11_what_no_alternation_does_is_read_as_none_of_that_side():
    """Away from the expert: no imitation. Down the reward: no RL. Both: neither."""
    problem = two_prompts()
    away = sft(problem, rl(problem, problem.reference, 0.5), -0.1)
    down = sft(problem, rl(problem, problem.reference, -0.1), 0.3)
    both = sft(problem, rl(problem, problem.reference, -0.3), -0.1)
    assert read(problem, away).sft_time == 0.0 < read(problem, away).rl_time
    assert read(problem, down).rl_time == 0.0 < read(problem, down).sft_time
    assert read(problem, both) == read(problem, problem.reference) == (0.0, 0.0)


def test_D11_without_imitation_rl_is_what_fits_both_best():
    """By a search of its own along the tilt, misses in units of the Fisher lengths."""
    problem = two_prompts()
    seen = sft(problem, rl(problem, problem.reference, 0.5), -0.1)
    scale = [reward_variance(problem, problem.reference), chi_square(problem, problem.expert, problem.reference)]

    def miss(rl_time):
        policy = rl(problem, problem.reference, rl_time)
        apart = [of(problem, policy) - of(problem, seen) for of in (expected_reward, sft_loss)]
        return sum(each**2 / unit for each, unit in zip(apart, scale, strict=True))

    grid = np.linspace(0.0, 2.0, 2001)
    assert read(problem, seen).rl_time == pytest.approx(grid[np.argmin([miss(h) for h in grid])], abs=2e-3)


@pytest.mark.parametrize("exchange_rate", [0.3, 1.0, 3.0])
def test_D2_on_the_front_the_sides_are_alike(exchange_rate):
    problem = two_prompts()
    best = joint_optimum(problem, exchange_rate)
    found = read(FiniteProblem(problem.prompts, best, problem.expert, problem.reward), best)
    assert isinstance(found, Unresolved) and "alike (cosine 1.00" in found.reason


@pytest.mark.parametrize("exchange_rate", [0.3, 1.0, 3.0])
def test_D2_there_a_usual_h_tells_s(exchange_rate):
    """At rest on the front s = lambda h, up to second order; moving, what fits beside h; off it `usual` is not used."""
    problem = two_prompts()
    best = joint_optimum(problem, exchange_rate)
    there = FiniteProblem(problem.prompts, best, problem.expert, problem.reward)
    at_rest = sides_between(there, expected_reward(there, best), sft_loss(there, best), 20, 0.02)
    assert at_rest.rl_time == 0.02 and at_rest.sft_time == pytest.approx(0.02 * exchange_rate, rel=0.02)
    moved = alternated(there, 0.3, 0.1, 3)
    found = sides_between(there, expected_reward(there, moved), sft_loss(there, moved), 3, 0.3)
    assert found == pytest.approx((0.3, 0.1), rel=1e-6)
    away = alternated(problem, 0.3, 0.1)
    found = sides_between(problem, expected_reward(problem, away), sft_loss(problem, away), 1, 7.0)
    assert found == pytest.approx((0.3, 0.1), rel=1e-5)


@pytest.mark.parametrize(
    ("reference", "reward", "reason"),
    [
        ([0.0, 0.5, 0.5], [0.0, 1.0, 0.5], "the SFT loss is infinite"),
        ([0.3, 0.3, 0.4], [1.0, 1.0, 1.0], "does not vary within any prompt"),
        ([0.2, 0.5, 0.3], [0.0, 1.0, 0.5], "the policy is the expert"),
    ],
)
def test_D11_what_cannot_be_told_is_said(reference, reward, reason):
    problem = one_prompt(reference, [0.2, 0.5, 0.3], reward)
    found = sides_between(problem, 0.9, 1.0)
    assert isinstance(found, Unresolved) and reason in found.reason


def test_D11_many_turns_settle_in_its_cycle():
    problem = two_prompts()
    settled = interleaving_cycle(problem, 0.02, 0.01).after_sft
    found = alternated(problem, 0.02 * 3000, -math.log1p(-0.01) * 3000, 3000)
    assert np.allclose(found, settled, rtol=1e-6)
