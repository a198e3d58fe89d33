"""D13's bound and D14, and what the laws of this room need. The exact floor is tested with the front it is on (D9)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from interlace.theory import finite
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import sft_loss_floor, sft_loss_floor_from_figures, tabular_pl_constants
from interlace.theory.laws import LAWS

from .problems import loss, make_policy, mean, normalised, one_prompt, problems


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


# ------------------------------------------------------------------------------------------------------------------ D14


@given(problems(), st.integers(0, 2**32 - 1))
def test_D14_fisher_gradients_are_above_their_pl_bounds(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    constants = tabular_pl_constants(problem, policy)
    gap = loss(problem, policy) - finite.entropy(problem, problem.expert)
    assert constants.sft == 0.5
    assert finite.chi_square(problem, problem.expert, policy) >= 2.0 * constants.sft * gap - 1e-9
    top = math.fsum(w * max(r for r, ok in zip(row, seen, strict=True) if ok)
                    for w, row, seen in zip(problem.prompts, problem.reward, problem.support, strict=True))  # fmt: skip
    missing = top - mean(problem, policy, problem.reward)
    if constants.reward == math.inf:
        assert missing == pytest.approx(0.0, abs=1e-12)
    else:
        assert finite.reward_variance(problem, policy) >= 2.0 * constants.reward * missing - 1e-12


@given(problems(rewards=("binary", "continuous")), st.integers(0, 2**32 - 1))
def test_D14_constant_is_the_least_over_prompts_of_best_mass_times_gap(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    products = []
    for weight, row, seen, rewards in zip(problem.prompts, policy, problem.support, problem.reward, strict=True):
        levels = sorted({r for r, ok in zip(rewards, seen, strict=True) if ok})
        if weight > 0.0 and len(levels) > 1:
            mass = math.fsum(p for p, r in zip(row, rewards, strict=True) if r == levels[-1])
            products.append(mass * (levels[-1] - levels[-2]))
    expected = 0.5 * min(products, default=math.inf)
    assert tabular_pl_constants(problem, policy).reward == pytest.approx(expected, rel=1e-12)


def test_D14_is_an_equality_for_two_responses():
    """V = p (1 - p) w^2 = m (R* - R), m = p w."""
    problem = one_prompt([0.3, 0.7], [0.3, 0.7], [1.0, 3.0])
    policy = np.array([[0.4, 0.6]])
    missing = 3.0 - finite.expected_reward(problem, policy)
    bound = 2.0 * tabular_pl_constants(problem, policy).reward * missing
    assert finite.reward_variance(problem, policy) == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("missing", [1e-2, 1e-4, 1e-6])
def test_D14_sft_constant_is_tight_for_one_gold_answer(missing):
    """X2 = 1/a - 1 and KL = -log a, a near 1. With a spread expert X2 is near 2 KL there."""
    policy = np.array([[missing, 1.0 - missing]])
    gold = one_prompt([0.5, 0.5], [0.0, 1.0], [0.0, 1.0])
    spread = FiniteProblem(gold.prompts, gold.reference, policy + missing**2 * np.array([[1.0, -1.0]]), gold.reward)
    ratios = [finite.chi_square(p, p.expert, policy) / finite.kl(p, p.expert, policy) for p in (gold, spread)]
    assert ratios[0] == pytest.approx(1.0, abs=missing) and ratios[0] >= 1.0
    assert missing < 1e-5 or ratios[1] == pytest.approx(2.0, abs=2.0 * missing)


def test_D14_is_alive_at_the_best_reward_and_dead_without_a_best_response():
    problem = one_prompt([0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.0, 1.0, 1.0])
    assert tabular_pl_constants(problem, np.array([[0.0, 0.4, 0.6]])).reward == 0.5
    assert tabular_pl_constants(problem, np.array([[1.0, 0.0, 0.0]])).reward == 0.0
    stuck = np.array([[1.0, 0.0, 0.0]])  # no variance though the best reward is missed: no constant could hold
    assert finite.reward_variance(problem, stuck) == 0.0 < 1.0 - finite.expected_reward(problem, stuck)


def test_D14_flat_and_unweighted_prompts_do_not_count():
    table = np.full((3, 2), 0.5)
    reward = np.array([[0.0, 2.0], [1.0, 1.0], [0.0, 1e-6]])
    problem = FiniteProblem(np.array([0.5, 0.5, 0.0]), table, table, reward)
    assert tabular_pl_constants(problem, table).reward == 0.5
    flat = FiniteProblem(np.ones(1), table[:1], table[:1], np.ones((1, 2)))
    assert tabular_pl_constants(flat, table[:1]).reward == math.inf


def test_D14_needs_the_fisher_metric():
    """Condition violated: plain softmax gradients fall faster than V near the best reward."""
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    policy = np.array([[1e-4, 1.0 - 1e-4]])
    plain = policy * (problem.reward - finite.expected_reward(problem, policy))
    missing = 1.0 - finite.expected_reward(problem, policy)
    assert (plain**2).sum() < 0.01 * 2.0 * tabular_pl_constants(problem, policy).reward * missing


@given(problems(rewards=("binary", "continuous")), st.integers(0, 2**32 - 1))
def test_D14_natural_gradient_closes_the_gap_at_least_as_fast(problem, seed):
    """The constant grows along the RL path, so the start's holds throughout: R* - R falls as exp(-m tau) or faster."""
    start = make_policy(np.random.default_rng(seed), problem)
    rate = 2.0 * tabular_pl_constants(problem, start).reward

    def gap(policy):
        return float(problem.prompts @ finite.top_reward(problem)) - finite.expected_reward(problem, policy)

    def flow(_, logits):
        policy = normalised(start * np.exp(logits.reshape(start.shape)))
        return (problem.reward - (policy * problem.reward).sum(axis=1, keepdims=True)).ravel()

    end = integrate.solve_ivp(flow, (0.0, 2.0), np.zeros(start.size), rtol=1e-8, atol=1e-10).y[:, -1]
    assert gap(normalised(start * np.exp(end.reshape(start.shape)))) <= gap(start) * math.exp(-2.0 * rate) + 1e-7


# ----------------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("label", "inputs", "met"),
    [
        ("D9", {"exchange_rate": 1.0, "policy": [[0.5, 0.5, 0.0]]}, [True, True]),
        ("D9", {"exchange_rate": 0.0, "policy": [[0.5, 0.4, 0.1]]}, [False, False]),
        ("D9", {"exchange_rate": math.inf}, [False, None]),
        ("D10", {"exchange_rate": 1e-3}, [True, None]),
        ("D11", {"rl_time": 0.0, "sft_weight": 1.0}, [True, None, None]),
        ("D11", {"rl_time": 1.0, "sft_weight": 0.0}, [False, None, None]),
        ("D11", {"rl_time": -1.0, "sft_weight": 0.5}, [False, None, None]),
        ("D12", {"cosine": -0.5}, [None, None]),
        ("D13", {}, []),
        ("D14", {"policy": [[0.5, 0.5, 0.0]]}, [None, True]),
    ],
)
def test_conditions_of_the_frontier_are_decided_from_the_inputs(label, inputs, met):
    inputs = {name: np.array(value) if name == "policy" else value for name, value in inputs.items()}
    problem = one_prompt([0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 2.0])
    assert [condition.check({"problem": problem, **inputs}) for condition in LAWS[label].conditions] == met


def test_D14_counts_what_only_the_expert_can_give():
    problem = one_prompt([0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 1.0, 3.0])
    assert tabular_pl_constants(problem, np.array([[0.2, 0.3, 0.5]])).reward == pytest.approx(0.5 * 0.5 * 2.0)
