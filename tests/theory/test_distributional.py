"""One test or more a label of A, against loops in float64, finite differences and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate

from interlace.errors import DataError
from interlace.theory import distributional as A
from interlace.theory import finite
from interlace.theory.finite import FiniteProblem

from .problems import divergence, loss, make_policy, make_problem, mean, one_prompt, problems, tilted

seeds = st.integers(0, 2**32 - 1)
times = st.floats(0.0, 30.0)
signed_times = st.floats(-30.0, 30.0)


# ---------------------------------------------------------------------------------------------------- along the RL path


@given(problems(), signed_times)
def test_the_path_is_what_loops_give(problem, rl_time):
    policy = tilted(problem, rl_time)
    partition = (problem.reference * np.exp(rl_time * problem.reward)).sum(axis=1)
    assert np.allclose(A.tilted_policy(problem, rl_time), policy, rtol=1e-9, atol=1e-15)
    assert np.allclose(A.log_partition(problem, rl_time), np.log(partition), rtol=1e-9, atol=1e-12)
    close(A.tilted_reward(problem, rl_time), mean(problem, policy, problem.reward))
    close(A.tilted_reward_variance(problem, rl_time), finite.reward_variance(problem, policy))


@given(problems(), st.lists(signed_times, max_size=4))
def test_a_float_gives_a_float_and_an_array_an_array(problem, rl_times):
    for function in (A.sft_loss_increase, A.optimal_sft_increase, A.sft_loss_increase_lower_bound, A.sft_loss_slope,
                     A.free_energy, A.tilted_reward, A.tilted_reward_variance):  # fmt: skip
        singly = [function(problem, rl_time) for rl_time in rl_times]
        assert all(type(value) is float for value in singly)
        assert np.allclose(function(problem, np.array(rl_times)), singly, rtol=1e-12, atol=1e-14)
    grid = np.array(rl_times)[:, None]
    assert A.sft_loss_increase(problem, grid).shape == grid.shape
    assert A.log_partition(problem, grid).shape == (*grid.shape, problem.prompts.size)


@pytest.mark.parametrize("rl_time", [1e3, 1e6, math.inf])
def test_the_path_does_not_overflow(rl_time):
    problem = one_prompt([0.25, 0.25, 0.5], [0.0, 0.5, 0.5], [0.0, 1e3, 1e3])
    assert A.tilted_policy(problem, rl_time).tolist() == [[0.0, 1 / 3, 2 / 3]]
    assert A.tilted_policy(problem, -rl_time).tolist() == [[1.0, 0.0, 0.0]]
    close(A.sft_loss_increase(problem, rl_time), math.log(0.75))
    assert A.free_energy(problem, math.inf) == 1e3


@given(problems(), signed_times)
def test_A1_increase_is_the_change_of_sft_loss(problem, rl_time):
    expected = loss(problem, tilted(problem, rl_time)) - loss(problem, problem.reference)
    close(A.sft_loss_increase(problem, rl_time), expected)


@given(problems(), signed_times)
def test_A1_needs_laws_of_reward_only(problem, rl_time):
    expert_reward = finite.prompt_reward(problem, problem.expert)
    lumped = finite.reward_problem(problem.reward, problem.reference, expert_reward, problem.prompts)
    close(A.sft_loss_increase(lumped, rl_time), A.sft_loss_increase(problem, rl_time))
    close_times(A.parity_rl_time(lumped), A.parity_rl_time(problem), problem)
    close_times(A.non_decoupling_threshold(lumped), A.non_decoupling_threshold(problem), problem)


@given(problems(rewards=("constant",)), times)
def test_A1_is_zero_if_the_reward_is_flat(problem, rl_time):
    close(A.sft_loss_increase(problem, rl_time), 0.0)
    assert np.allclose(A.tilted_policy(problem, rl_time), problem.reference)
    assert A.parity_rl_time(problem) == A.non_decoupling_threshold(problem) == 0.0


def test_A1_fails_off_the_path():
    """Condition violated: a policy of the same reward that is not a tilt of the reference."""
    problem = one_prompt([0.2, 0.4, 0.4], [0.4, 0.6, 0.0], [0.0, 1.0, 1.0])
    policy = np.array([[0.1, 0.1, 0.8]])
    rl_time = A.matching_rl_time(problem, 0.9)
    change = finite.sft_loss(problem, policy) - finite.sft_loss(problem, problem.reference)
    assert A.sft_loss_increase(problem, rl_time) < change - 0.5


@given(problems(experts=("reference",)), times)
def test_A2_increase_after_perfect_sft_is_a_divergence(problem, rl_time):
    expected = divergence(problem, problem.expert, tilted(problem, rl_time))
    close(A.optimal_sft_increase(problem, rl_time), expected)
    close(A.optimal_sft_increase(problem, rl_time), A.sft_loss_increase(problem, rl_time))
    assert A.optimal_sft_increase(problem, rl_time) >= -1e-12


@given(problems(rewards=("binary", "continuous")))
def test_A2_begins_with_variance_and_third_moment(problem):
    variance, third = (f(problem, problem.expert) for f in (finite.reward_variance, finite.third_central_moment))
    rl_time = 1e-3
    series = rl_time**2 * variance / 2 + rl_time**3 * third / 6
    fourth = (2 * np.abs(problem.reward).max()) ** 4
    assert A.optimal_sft_increase(problem, rl_time) == pytest.approx(series, abs=fourth * rl_time**4)


def test_A2_is_zero_iff_the_reward_is_constant_on_the_experts_support():
    reward = [0.0, 1.0, 1.0]
    constant = one_prompt([0.0, 0.3, 0.7], [0.0, 0.3, 0.7], reward)
    varying = one_prompt([0.1, 0.2, 0.7], [0.1, 0.2, 0.7], reward)
    assert A.optimal_sft_increase(constant, 5.0) == 0.0
    assert A.optimal_sft_increase(varying, 5.0) > 0.1


def test_A2_fails_if_rl_does_not_start_at_the_expert():
    problem = one_prompt([0.9, 0.1], [0.3, 0.7], [0.0, 1.0])
    assert A.sft_loss_increase(problem, 1.0) < 0.0 < A.optimal_sft_increase(problem, 1.0)


@given(problems(), times)
def test_A3_bounds_the_increase_from_below(problem, rl_time):
    bound = A.sft_loss_increase_lower_bound(problem, rl_time)
    close(bound, rl_time * (mean(problem, problem.reference, problem.reward) - problem.expert_reward))
    assert A.sft_loss_increase(problem, rl_time) >= bound - 1e-12
    if finite.reward_range(problem) > 1e-3 and rl_time > 1e-2:
        assert A.sft_loss_increase(problem, rl_time) > bound


@given(problems(rewards=("constant",)), times)
def test_A3_is_an_equality_if_the_reward_is_flat(problem, rl_time):
    close(A.sft_loss_increase(problem, rl_time), A.sft_loss_increase_lower_bound(problem, rl_time))


@given(problems(), times)
def test_A3_rl_raises_sft_loss_if_the_reference_earns_what_the_expert_earns(problem, rl_time):
    assume(finite.expected_reward(problem, problem.reference) >= problem.expert_reward)
    assert A.sft_loss_increase(problem, rl_time) >= -1e-12


@given(problems(), st.floats(0.01, 20.0))
def test_A4_reward_parity_law(problem, rl_time):
    step = 1e-4
    before, here, after = A.sft_loss_increase(problem, rl_time + step * np.array([-1.0, 0.0, 1.0]))
    slope, variance = A.sft_loss_slope(problem, rl_time), A.tilted_reward_variance(problem, rl_time)
    close(slope, mean(problem, tilted(problem, rl_time), problem.reward) - problem.expert_reward)
    assert (after - before) / (2 * step) == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert (after - 2 * here + before) / step**2 == pytest.approx(variance, rel=1e-3, abs=1e-4)
    rewards = A.tilted_reward(problem, rl_time + step * np.array([-1.0, 1.0]))
    assert (rewards[1] - rewards[0]) / (2 * step) == pytest.approx(variance, rel=1e-6, abs=1e-6)


@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")))
def test_A4_sft_loss_is_least_at_parity(problem):
    parity = A.parity_rl_time(problem)
    assume(parity < 50.0)
    brute_force = A.sft_loss_increase(problem, np.linspace(0.0, 60.0, 4001)).min()
    assert A.sft_loss_increase(problem, parity) <= brute_force + 1e-12
    if parity > 0.0:
        close(A.tilted_reward(problem, parity), problem.expert_reward)
        assert A.sft_loss_slope(problem, 0.99 * parity) < 0.0 < A.sft_loss_slope(problem, 1.01 * parity)


def test_A4_parity_is_of_averages_not_prompt_by_prompt():
    half = np.full((2, 2), 0.5)
    problem = FiniteProblem(np.array([0.5, 0.5]), half, np.array([[0.0, 1.0], [0.6, 0.4]]), np.array([[0.0, 1.0]] * 2))
    parity = A.parity_rl_time(problem)
    per_prompt = finite.prompt_reward(problem, A.tilted_policy(problem, parity))
    assert per_prompt.mean() == pytest.approx(0.7) and abs(per_prompt[0] - 1.0) > 0.2


@pytest.mark.parametrize("gap", [1e-1, 1e-6, 1e-10])
def test_A4_parity_time_keeps_its_digits_near_a_perfect_expert(gap):
    """Binary reward, pass rate p: tau = logit(1 - gap) - logit(p)."""
    problem = one_prompt([0.8, 0.2], [gap, 1 - gap], [0.0, 1.0])
    expected = math.log1p(-gap) - math.log(gap) - math.log(0.2 / 0.8)
    assert A.parity_rl_time(problem) == pytest.approx(expected, rel=1e-12)


def test_A4_fails_for_a_policy_off_the_path():
    """D3's first counter-example: a softmax policy gradient step below parity that raises SFT loss."""
    problem = one_prompt([0.5, 0.1, 0.4], [0.10, 0.55, 0.35], [1.0, 1.0, 0.0])
    policy, step = problem.reference, 1e-5
    advantage = problem.reward - finite.expected_reward(problem, policy)
    moved = policy * np.exp(step * policy * advantage)
    moved /= moved.sum()
    assert A.sft_loss_slope(problem, 0.0) < 0.0
    assert finite.sft_loss(problem, moved) > finite.sft_loss(problem, policy)


@given(problems(), st.floats(0.05, 20.0))
def test_A5_free_energy_rises_at_kl_over_time_squared(problem, rl_time):
    step = 1e-4 * rl_time
    energies = A.free_energy(problem, rl_time + step * np.array([-1.0, 1.0]))
    slope = divergence(problem, tilted(problem, rl_time), problem.reference) / rl_time**2
    assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@given(problems())
def test_A5_free_energy_runs_from_the_references_reward_to_the_top(problem):
    start = finite.expected_reward(problem, problem.reference)
    assert A.free_energy(problem, 0.0) == start
    variance = finite.reward_variance(problem, problem.reference)
    assert A.free_energy(problem, 1e-9) == pytest.approx(start + 5e-10 * variance, rel=1e-12, abs=1e-15)
    close(A.free_energy(problem, math.inf), float(problem.prompts @ finite.top_reward(problem)))


@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")))
def test_A5_rl_lowers_sft_loss_exactly_below_the_threshold(problem):
    threshold, parity = A.non_decoupling_threshold(problem), A.parity_rl_time(problem)
    assume(threshold < math.inf)
    if threshold == 0.0:
        assert parity == 0.0 and A.sft_loss_increase(problem, 0.1) > -1e-12
        return
    assert 0.0 < parity < threshold
    assert abs(A.free_energy(problem, threshold) - problem.expert_reward) < 1e-12
    assert A.sft_loss_increase(problem, 0.999 * threshold) < 0.0 < A.sft_loss_increase(problem, 1.001 * threshold)


@given(problems(rewards=("binary", "continuous"), experts=("dense",)))
def test_A5_threshold_is_twice_parity_up_to_the_sign_of_the_third_moment(problem):
    threshold, parity = A.non_decoupling_threshold(problem), A.parity_rl_time(problem)
    assume(0.0 < threshold < 100.0)
    on_the_way = [
        finite.third_central_moment(problem, A.tilted_policy(problem, t)) for t in np.linspace(0, threshold, 40)
    ]
    if max(on_the_way) <= 0.0:
        assert threshold >= 2 * parity * (1 - 1e-9)
    if min(on_the_way) >= 0.0:
        assert threshold <= 2 * parity * (1 + 1e-9)


def test_A5_threshold_is_twice_parity_if_the_third_moment_cancels():
    """Equality: pass rate p to 1 - p by tau, symmetric about 1/2, F's root by symmetry at twice the parity time."""
    problem = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 1.0])
    assert A.non_decoupling_threshold(problem) == pytest.approx(2 * A.parity_rl_time(problem), rel=1e-12)


@given(problems(rewards=("binary", "continuous"), experts=("perfect",)))
def test_A5_a_perfect_expert_is_never_harmed(problem):
    assume(finite.expected_reward(problem, problem.reference) < problem.expert_reward)
    assert A.parity_rl_time(problem) == A.non_decoupling_threshold(problem) == math.inf
    best = problem.support & (problem.reward == finite.top_reward(problem)[:, None])
    expected = -math.fsum(problem.prompts * np.log((problem.reference * best).sum(axis=1)))
    close(A.perfect_expert_limit(problem), expected)
    close(A.sft_loss_increase(problem, math.inf), -expected)
    increases = A.sft_loss_increase(problem, np.array([0.0, 0.5, 1.0, 5.0, 50.0]))
    assert (np.diff(increases) <= 1e-12).all() and (increases >= -expected - 1e-12).all()


@given(problems(rewards=("binary", "continuous"), experts=("dense",)))
def test_A5_an_imperfect_expert_is_harmed_without_end(problem):
    assert A.sft_loss_increase(problem, math.inf) == math.inf or A.non_decoupling_threshold(problem) == math.inf


def test_A5_perfect_is_meant_up_to_rounding():
    assert A.parity_rl_time(one_prompt([0.5, 0.5], [1e-13, 1 - 1e-13], [0.0, 1.0])) == math.inf
    assert A.parity_rl_time(one_prompt([0.5, 0.5], [1e-11, 1 - 1e-11], [0.0, 1.0])) == pytest.approx(25.3, abs=0.1)


# --------------------------------------------------------------------------------------------------------- the SFT path


def test_A8_natural_gradient_sft_moves_on_the_mixture_line():
    rng = np.random.default_rng(0)
    problem = make_problem(rng, 1, 5, "continuous", "dense")
    start, expert = np.full((1, 5), 0.2), problem.expert[0]

    def flow(_, logits):  # minus the Fisher-preconditioned gradient of L
        policy = np.exp(logits) / np.exp(logits).sum()
        return -np.linalg.pinv(np.diag(policy) - np.outer(policy, policy)) @ (policy - expert)

    end = integrate.solve_ivp(flow, (0.0, 1.5), np.log(start[0]), rtol=1e-10, atol=1e-12).y[:, -1]
    assert np.allclose(A.sft_path(problem, start, 1.5)[0], np.exp(end) / np.exp(end).sum(), rtol=1e-6)
    logit_step = start * np.exp(1.5 * flow(0.0, np.log(start[0])))  # condition violated: one step, in logits
    assert not np.allclose(A.sft_path(problem, start, 1.5), logit_step / logit_step.sum(), atol=1e-2)


@given(problems(), seeds, st.floats(0.0, 10.0))
def test_A8_reward_and_loss_along_the_line(problem, seed, sft_time):
    start = make_policy(np.random.default_rng(seed), problem)
    policy = A.sft_path(problem, start, sft_time)
    close(A.sft_path_reward(problem, start, sft_time), mean(problem, policy, problem.reward))
    step = 1e-5
    rate = (
        finite.sft_loss(problem, A.sft_path(problem, start, sft_time + step)) - finite.sft_loss(problem, policy)
    ) / step
    square = finite.chi_square(problem, problem.expert, policy)
    assert rate == pytest.approx(-square, rel=1e-2 + 10 * step * square, abs=1e-4)
    fall = math.exp(-sft_time) * finite.kl(problem, problem.expert, start)
    assert finite.kl(problem, problem.expert, policy) <= fall + 1e-12


@given(problems(), seeds, st.floats(1e-6, 2.0))
def test_A8_largest_sft_time_loses_what_is_allowed(problem, seed, allowed_drop):
    start = make_policy(np.random.default_rng(seed), problem)
    longest = A.largest_sft_time(problem, start, allowed_drop)
    drop = finite.expected_reward(problem, start) - A.sft_path_reward(problem, start, longest)
    if longest < math.inf:
        assert drop == pytest.approx(allowed_drop, rel=1e-8, abs=1e-12)
    else:
        assert drop <= allowed_drop + 1e-12


def test_A8_ends():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    better = np.array([[0.1, 0.9]])
    assert A.largest_sft_time(problem, better, 0.0) == 0.0
    assert A.largest_sft_time(problem, better, 0.4) == math.inf
    assert A.sft_path(problem, better, math.inf).tolist() == problem.expert.tolist()
    assert A.sft_path_reward(problem, better, np.array([0.0, math.inf])).tolist() == [0.9, 0.5]
    with pytest.raises(DataError, match=r"allowed_drop must be at least 0\. Got -0\.1"):
        A.largest_sft_time(problem, better, -0.1)


# ------------------------------------------------------------------------------------------------- any policy whatever


@given(problems(), seeds)
def test_A9_change_of_reward_is_bounded(problem, seed):
    p, q = make_policy(np.random.default_rng(seed), problem), problem.reference
    change = abs(mean(problem, p, problem.reward) - mean(problem, q, problem.reward))
    bounds = A.reward_change_bounds(problem, p, q)
    assert change <= bounds.total_variation + 1e-12 <= bounds.kl + 2e-12


def test_A9_constants_are_tight():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 3.0])
    moved = np.array([[0.499, 0.501]])
    bounds = A.reward_change_bounds(problem, moved, problem.reference)
    assert bounds.total_variation == pytest.approx(0.003) and bounds.kl == pytest.approx(0.003, rel=1e-5)


def test_A9_takes_the_smaller_direction_of_kl():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    bounds = A.reward_change_bounds(problem, np.array([[0.0, 1.0]]), problem.reference)
    assert bounds.kl == pytest.approx(math.sqrt(math.log(2) / 2))


@given(problems(), seeds, st.one_of(st.none(), signed_times))
def test_A10_split_is_exact_for_any_policy_and_time(problem, seed, rl_time):
    policy = make_policy(np.random.default_rng(seed), problem)
    split = A.split_tilt_off_path(problem, policy, rl_time)
    assume(math.isfinite(split.rl_time) and abs(split.rl_time) < 500)
    close(split.tilt + split.off_path, loss(problem, policy) - loss(problem, problem.reference))
    at_tau = A.tilted_policy(problem, split.rl_time)
    log_ratio = np.log(np.where(problem.support, policy, 1) / np.where(problem.support, at_tau, 1))
    assert split.off_path == pytest.approx(-mean(problem, problem.expert, log_ratio), rel=1e-9, abs=1e-10)
    assert mean(problem, policy, log_ratio) == pytest.approx(finite.kl(problem, policy, at_tau), rel=1e-9, abs=1e-10)


@given(problems(rewards=("binary", "continuous")), seeds)
def test_A10_matched_time_is_the_kl_nearest_tilt(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    reward = finite.expected_reward(problem, policy)
    matched = A.matching_rl_time(problem, reward)
    assume(abs(matched) < 100)
    assert A.nearest_rl_time(problem, policy) == pytest.approx(matched, rel=1e-6)
    assert A.tilted_reward(problem, matched) == pytest.approx(reward, rel=1e-10, abs=1e-12)
    nearest = finite.kl(problem, policy, A.tilted_policy(problem, matched))
    for other in matched + np.array([-1.0, -0.01, 0.01, 1.0]):
        assert nearest <= finite.kl(problem, policy, A.tilted_policy(problem, float(other)))


@given(problems(rewards=("binary", "continuous")), st.floats(-15.0, 15.0))
def test_A10_off_path_part_is_zero_on_the_path(problem, rl_time):
    split = A.split_tilt_off_path(problem, A.tilted_policy(problem, rl_time))
    assume(math.isfinite(split.rl_time))
    assert split.off_path == pytest.approx(0.0, abs=1e-9)


def test_A10_rewards_that_no_tilt_earns():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert [A.matching_rl_time(problem, reward) for reward in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [
        -math.inf, -math.inf, 0.0, math.inf, math.inf]  # fmt: skip
    assert A.matching_rl_time(problem, 1e-9) == pytest.approx(math.log(1e-9), rel=1e-9)
    flat = one_prompt([0.5, 0.5], [0.5, 0.5], [0.3, 0.3])
    assert [A.matching_rl_time(flat, reward) for reward in (0.2, 0.3, 0.3 + 1e-16, 0.4)] == [
        -math.inf, 0.0, 0.0, math.inf]  # fmt: skip


def test_A10_and_A11_refuse_a_start_that_misses_the_expert():
    problem = one_prompt([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    for split in (A.split_tilt_off_path, A.split_right_wrong):
        with pytest.raises(DataError, match="reference must be positive wherever the expert is"):
            split(problem, problem.expert)


@given(problems(rewards=("binary",)), seeds)
def test_A11_damage_and_unlearning_add_up(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    split = A.split_right_wrong(problem, policy)
    change = np.log(np.where(problem.support, problem.reference, 1) / np.where(problem.support, policy, 1))
    share = mean(problem, problem.expert, problem.reward)
    right = mean(problem, problem.expert, change * (problem.reward == 1.0))
    if share > 0.0:  # P_D(r = 1) x the mean on the expert's right responses
        close(split.right, share * (right / share))
    close(split.right + split.wrong, loss(problem, policy) - loss(problem, problem.reference))


@given(problems(rewards=("binary",), experts=("dense",)), st.floats(0.1, 10.0))
def test_A11_on_the_path_right_answers_gain_and_wrong_ones_lose(problem, rl_time):
    partition = A.log_partition(problem, rl_time)
    passes = problem.prompts * (problem.expert * problem.reward).sum(axis=1)
    split = A.split_right_wrong(problem, A.tilted_policy(problem, rl_time))
    close(split.right, float(passes @ (partition - rl_time)))
    close(split.wrong, float((problem.prompts - passes) @ partition))
    assert split.right <= 0.0 <= split.wrong


def test_A11_a_perfect_expert_has_damage_only():
    problem = one_prompt([0.4, 0.3, 0.3], [0.0, 0.5, 0.5], [0.0, 1.0, 1.0])
    split = A.split_right_wrong(problem, np.array([[0.0, 1.0, 0.0]]))
    assert split == (math.inf, 0.0)


def test_A11_needs_a_binary_reward():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 0.5])
    with pytest.raises(DataError, match=r"reward must be 0 or 1 on the expert's responses \(A11\)"):
        A.split_right_wrong(problem, problem.reference)


def close(value, expected):
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def close_times(value, expected, problem):
    """Times are as well defined as the gap of rewards that they close."""
    gap = abs(finite.expected_reward(problem, problem.reference) - problem.expert_reward)
    if gap > 1e-9:
        assert value == pytest.approx(expected, rel=1e-9 + 1e-15 / gap, abs=1e-12)


# ------------------------------------------------------------------------------------------------- slots and weights


@pytest.mark.parametrize("there", [0.0, 1e13, -1e13, 1e300])
def test_a_slot_that_a_prompt_lacks_has_no_say(there):
    problem = one_prompt([0.5, 0.5, 0.0], [0.3, 0.7, 0.0], [0.0, 1.0, there])
    assert A.parity_rl_time(problem) == pytest.approx(math.log(7 / 3), rel=1e-12)
    assert A.optimal_rl_time(problem, 0.5) < 10.0 and A.non_decoupling_threshold(problem) < 10.0
    assert finite.third_central_moment(problem, problem.expert) == pytest.approx(0.21 * -0.4, rel=1e-12)


def test_prompts_of_weight_0_break_no_condition():
    problem = FiniteProblem(np.array([1.0, 0.0]), np.full((2, 2), 0.5), np.full((2, 2), 0.5),
                            np.array([[0.0, 1.0], [0.3, 0.7]]))  # fmt: skip
    split = A.split_right_wrong(problem, np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert split == pytest.approx((0.5 * math.log(0.5 / 0.75), 0.5 * math.log(2.0)))


@pytest.mark.parametrize("missed", [1e-12, 1e-14, 1e-200])
def test_A10_keeps_its_digits_next_to_the_best_responses(missed):
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    policy = np.array([[missed, 1.0 - missed]])
    split = A.split_tilt_off_path(problem, policy)
    assert split.rl_time == pytest.approx(-math.log(missed), rel=1e-9)
    assert split.off_path == pytest.approx(0.0, abs=1e-9)


def test_A10_at_the_paths_end_only_a_finite_time_splits():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    split = A.split_tilt_off_path(problem, np.array([[0.0, 1.0]]))
    assert split.rl_time == split.tilt == math.inf and math.isnan(split.off_path)
    assert A.split_tilt_off_path(problem, np.array([[0.0, 1.0]]), 3.0).off_path == math.inf


def test_A8_an_allowed_drop_of_the_whole_gap_is_any_time():
    start = np.array([[0.2, 0.8]])
    assert A.largest_sft_time(one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0]), start, 0.3) == math.inf
    flat = one_prompt([0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.1, 0.1, 0.1])
    assert A.largest_sft_time(flat, np.array([[0.1, 0.1, 0.8]]), 0.0) == math.inf


def test_A4_slope_keeps_its_digits_on_an_offset():
    near, far = (one_prompt([0.5, 0.5], [0.4, 0.6], [offset, offset + 1.0]) for offset in (0.0, 2.0**20))
    rl_time = 1.001 * A.parity_rl_time(near)
    assert A.sft_loss_slope(far, rl_time) == pytest.approx(A.sft_loss_slope(near, rl_time), rel=1e-12)


def test_the_paths_end_has_a_log_partition():
    assert A.log_partition(one_prompt([0.5, 0.5], [0.5, 0.5], [-1.0, 0.0]), math.inf) == pytest.approx(-math.log(2))
    assert A.log_partition(one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0]), math.inf) == math.inf
