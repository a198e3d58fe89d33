from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.theory import finite
from interlace.theory.frontier import sft_loss_floor, sft_loss_floor_from_figures

from .problems import loss, make_policy, mean, one_prompt, problems


@given(problems(), st.integers(0, 2**32 - 1))
def test_D13_no_policy_is_below_the_floor(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    reward = mean(problem, policy, problem.reward)
    floor = sft_loss_floor(problem, reward)
    assert loss(problem, policy) >= floor - 1e-9
    width = finite.reward_range(problem, problem.reference, problem.expert)
    entropy = finite.entropy(problem, problem.expert)
    assert floor == pytest.approx(sft_loss_floor_from_figures(entropy, reward, problem.expert_reward, width))


def test_D13_is_tight_for_an_even_expert_and_small_excess():
    """Equality to second order: the floor's excess over the entropy is the KL that the reward needs."""
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 2.0])
    policy = np.array([[0.499, 0.501]])
    excess = finite.sft_loss(problem, policy) - finite.entropy(problem, problem.expert)
    floor = sft_loss_floor(problem, finite.expected_reward(problem, policy)) - finite.entropy(problem, problem.expert)
    assert floor == pytest.approx(excess, rel=1e-4)


def test_D13_is_the_entropy_up_to_the_experts_reward():
    problem = one_prompt([0.5, 0.5], [0.25, 0.75], [0.0, 1.0])
    entropy = finite.entropy(problem, problem.expert)
    assert sft_loss_floor(problem, 0.1) == sft_loss_floor(problem, 0.75) == entropy < sft_loss_floor(problem, 0.76)


def test_D13_a_reward_that_never_varies_costs_nothing():
    assert sft_loss_floor_from_figures(0.3, 1.0, 1.0, 0.0) == 0.3


def test_D13_range_must_cover_both_supports():
    """Condition violated: with the reference's range alone, an expert outside its support would break the floor."""
    problem = one_prompt([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.1, 5.0])
    policy = np.array([[0.0, 0.4, 0.6]])
    reward, entropy = finite.expected_reward(problem, policy), finite.entropy(problem, problem.expert)
    too_narrow = sft_loss_floor_from_figures(entropy, reward, problem.expert_reward, finite.reward_range(problem))
    assert sft_loss_floor(problem, reward) <= finite.sft_loss(problem, policy) < too_narrow
