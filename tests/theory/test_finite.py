from __future__ import annotations

import math

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.errors import DataError
from interlace.theory import finite
from interlace.theory.finite import FiniteProblem

from .problems import divergence, loss, make_policy, mean, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)


@given(problems(), seeds)
def test_functionals_are_what_loops_give(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    rewards = [mean(one_prompt(policy[x], policy[x], problem.reward[x]), policy[[x]], problem.reward[[x]])
               for x in range(len(policy))]  # fmt: skip
    deviation = problem.reward - np.array(rewards)[:, None]
    assert np.allclose(finite.prompt_reward(problem, policy), rewards, rtol=1e-12, atol=1e-14)
    close(finite.expected_reward(problem, policy), mean(problem, policy, problem.reward))
    close(finite.reward_variance(problem, policy), mean(problem, policy, deviation**2))
    close(finite.third_central_moment(problem, policy), mean(problem, policy, deviation**3))
    close(finite.sft_loss(problem, policy), loss(problem, policy))
    close(finite.kl(problem, policy, problem.reference), divergence(problem, policy, problem.reference))
    close(problem.expert_reward, mean(problem, problem.expert, problem.reward))


@given(problems(), seeds)
def test_sft_loss_is_entropy_plus_kl(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    gap = finite.sft_loss(problem, policy) - finite.entropy(problem, problem.expert)
    assert gap == pytest.approx(finite.kl(problem, problem.expert, policy), rel=1e-9, abs=1e-12)


@given(problems(), seeds)
def test_divergences_are_ordered(problem, seed):
    """2 TV^2 <= KL <= log(1 + X2) <= X2, and all are 0 between a policy and itself."""
    p, q = make_policy(np.random.default_rng(seed), problem), problem.reference
    variation, nats, square = (f(problem, p, q) for f in (finite.total_variation, finite.kl, finite.chi_square))
    assert 2 * variation**2 <= nats + 1e-12 and nats <= math.log1p(square) + 1e-12
    assert square == pytest.approx(mean(problem, p, p / np.where(q > 0, q, 1)) - 1, rel=1e-9, abs=1e-11)
    assert [f(problem, p, p) for f in (finite.total_variation, finite.kl, finite.chi_square)] == [0.0, 0.0, 0.0]


def test_infinite_answers_are_infinite():
    problem = one_prompt([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    assert finite.sft_loss(problem, problem.reference) == math.inf
    assert finite.kl(problem, problem.expert, problem.reference) == math.inf
    assert finite.chi_square(problem, problem.expert, problem.reference) == math.inf
    assert finite.kl(problem, problem.reference, problem.expert) == pytest.approx(math.log(2))


def test_prompts_of_weight_zero_do_not_count():
    problem = FiniteProblem(np.array([1.0, 0.0]), np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2))
    assert finite.sft_loss(problem, problem.reference) == 0.0


def test_top_reward_and_range_look_at_supports_only():
    problem = one_prompt([0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 1.0, 7.0])
    assert finite.top_reward(problem).tolist() == [1.0]
    assert finite.reward_range(problem) == 1.0
    assert finite.reward_range(problem, problem.reference, problem.expert) == 7.0


@given(problems())
def test_a_problem_lumped_by_reward_keeps_the_laws_of_reward(problem):
    expert_reward = finite.prompt_reward(problem, problem.expert)
    lumped = finite.reward_problem(problem.reward, problem.reference, expert_reward, problem.prompts)
    close(lumped.expert_reward, problem.expert_reward)
    close(finite.reward_variance(lumped, lumped.reference), finite.reward_variance(problem, problem.reference))
    assert finite.reward_range(lumped) == finite.reward_range(problem)
    assert finite.reward_problem(problem.reward, problem.reference, expert_reward).prompts.sum() == pytest.approx(1.0)


def test_arrays_cannot_be_written_to_and_are_not_the_callers():
    prompts = np.ones(1)
    problem = FiniteProblem(prompts, np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)))
    prompts[0] = 2.0
    assert problem.prompts[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        problem.reward[0, 0] = 1.0


half, sure, reward = [[0.5, 0.5]], [[0.0, 1.0]], [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], half, sure, reward), r"prompts must be a list of weights\. Got shape \(1, 1\)\. Give one a prompt"),
        (([], half, sure, reward), r"prompts must be a list of weights\. Got shape \(0,\)"),
        (([0.5, 0.5], half, sure, reward), r"reference must have one row a prompt \(2\)\. Got shape \(1, 2\)"),
        (([1.0], half, [[1.0]], reward), r"expert must have the reference's shape \(1, 2\)\. Got \(1, 1\)\. Pad slots"),
        (([1.0], half, sure, [0.0, 1.0]), r"reward must have one row a prompt"),
        (([1.0], [[0.5, 0.6]], sure, reward), r"reference must sum to 1 in row 1 of 1\. Got 1\.1\. Divide by the sum"),
        (([0.4], half, sure, reward), r"prompts must sum to 1\. Got 0\.4"),
        (([1.0], half, [[-0.5, 1.5]], reward), r"expert must hold probabilities\. Got a negative or non-finite"),
        (([1.0], [[math.nan, 1.0]], sure, reward), r"reference must hold probabilities"),
        (([1.0], half, sure, [[0.0, math.inf]]), r"reward must be finite everywhere\. Got NaN or infinity"),
    ],
)
def test_wrong_problems_are_refused_in_one_sentence(arguments, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what a user meets: no shape checks
    with pytest.raises(DataError, match=message):
        FiniteProblem(*arguments)


def close(value, expected):
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_policy_of_another_shape_is_refused():
    problem = FiniteProblem(np.array([0.5, 0.5]), np.full((2, 2), 0.5), np.full((2, 2), 0.5), np.eye(2))
    one_row = np.array([[0.5, 0.5]])
    for function in (finite.sft_loss, finite.expected_reward, finite.reward_variance, finite.entropy):
        with pytest.raises(DataError, match=r"a policy must have the problem's shape \(2, 2\). Got \(1, 2\)"):
            function(problem, one_row)
    for function in (finite.kl, finite.chi_square, finite.total_variation, finite.reward_difference):
        with pytest.raises(DataError, match="a policy must have the problem's shape"):
            function(problem, one_row, one_row)
