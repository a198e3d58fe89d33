"""D4: GRPO's expected step by enumeration of every group, and std-normalised natural gradient."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate

from interlace.errors import DataError
from interlace.theory import distributional, finite
from interlace.theory.paths import (
    group_rl_time,
    group_step_scale,
    group_velocity,
    loss_rate,
    reward_rate,
    softmax_velocity,
    std_natural_loss_rate,
    std_natural_pass_rate,
    std_natural_velocity,
)

from .moves import centred_rows, loss_slope, moved, pass_rate_in, slope
from .problems import loss, make_policy, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)
binary = problems(rewards=("binary",))
BASELINES = ("std ddof 0", "std ddof 1", "group mean", "leave one out")


def advantages(rewards, baseline):
    rewards, size = np.array(rewards), len(rewards)
    centred = rewards - rewards.mean()
    if baseline == "leave one out":
        return np.array([r - np.delete(rewards, i).mean() for i, r in enumerate(rewards)])
    if baseline == "group mean":
        return centred
    deviation = math.sqrt((centred**2).sum() / (size - int(baseline[-1])))
    return centred / deviation if np.ptp(rewards) > 0 else centred * 0


def expected_step(policy, reward, size, baseline):
    """The mean over every group of (1/K) sum of advantage x score, by the logits of one prompt."""
    total = np.zeros(len(policy))
    for group in itertools.product(range(len(policy)), repeat=size):
        chance = math.prod(policy[y] for y in group)
        for y, advantage in zip(group, advantages([reward[y] for y in group], baseline), strict=True):
            total += chance * advantage * (np.eye(len(policy))[y] - policy) / size
    return total


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("policy", [[0.2, 0.5, 0.3], [0.01, 0.04, 0.95], [0.6, 0.4, 0.0]])
def test_D4_expected_step_by_enumeration(policy, size, baseline):
    reward = [1.0, 0.0, 1.0]
    problem = one_prompt(policy, [0.3, 0.3, 0.4], reward)
    expected = expected_step(policy, reward, size, baseline)
    if baseline == "leave one out":  # exactly the gradient
        step = softmax_velocity(problem, problem.reference)
    else:
        std = baseline.startswith("std")
        ddof = int(baseline[-1]) if std else 0
        step = group_velocity(problem, problem.reference, size, ddof=ddof, normalised=std)
    assert np.allclose(step[0], expected, rtol=1e-9, atol=1e-13)
    if baseline == "group mean":
        assert np.allclose(step, (1 - 1 / size) * softmax_velocity(problem, problem.reference), rtol=1e-9, atol=1e-15)


def slow_scale(p, size):
    """E sqrt(phat (1 - phat)) over the binomial, in whole numbers of ways."""
    return math.fsum(
        math.comb(size, n) * p**n * (1 - p) ** (size - n) * math.sqrt(n * (size - n)) / size for n in range(1, size)
    )


@given(st.floats(0.0, 1.0), st.integers(1, 64))
def test_D4_step_scale_is_the_mean_deviation_of_a_group(p, size):
    expected = slow_scale(p, size)
    assert group_step_scale(p, size, 0, True) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert group_step_scale(p, size, 1, True) == pytest.approx(expected * math.sqrt((size - 1) / size), rel=1e-9)
    assert group_step_scale(p, size, 0, False) == pytest.approx((1 - 1 / size) * p * (1 - p), rel=1e-12)


def test_D4_step_scale_limits():
    for p in (0.03, 0.5, 0.9):
        for ddof in (0, 1):  # K to infinity, at 1/K
            gaps = [group_step_scale(p, size, ddof, True) - math.sqrt(p * (1 - p)) for size in (1000, 4000)]
            assert gaps[1] == pytest.approx(gaps[0] / 4, rel=0.05) and abs(gaps[1]) < 1e-2
            assert group_step_scale(p, math.inf, ddof, True) == math.sqrt(p * (1 - p))
        assert group_step_scale(p, math.inf, 1, False) == p * (1 - p)
    for size in (2, 8, 100):  # p to 0
        assert group_step_scale(1e-9, size, 0, True) == pytest.approx(1e-9 * math.sqrt(size - 1), rel=1e-6)
        assert group_step_scale(1e-300, size, 0, True) == pytest.approx(1e-300 * math.sqrt(size - 1), rel=1e-9)
    ends = group_step_scale(np.array([0.0, 1.0]), 8, 1, True)
    assert ends.tolist() == [0.0, 0.0]
    assert group_step_scale(0.5, 1, 1, True) == group_step_scale(0.5, 1, 0, False) == 0.0  # a group of one


def test_D4_step_scale_of_a_large_group():
    """A billion-way binomial in logs: against the expansion sqrt(pq) (1 - 1/(8 K p q)) to its own order."""
    size, p = 10_000, 0.3
    expected = math.sqrt(0.21) * (1 - 1 / (8 * size * 0.21))
    assert group_step_scale(p, size, 0, True) == pytest.approx(expected, rel=1e-7)


def test_D4_step_scale_of_an_array_is_that_of_its_floats():
    rates = np.array([[0.1, 0.5], [0.9, 1.0]])
    scales = group_step_scale(rates, 8, 1, True)
    assert scales.shape == (2, 2) and type(group_step_scale(0.1, 8, 1, True)) is float
    assert scales.tolist() == [[group_step_scale(p, 8, 1, True) for p in row] for row in rates.tolist()]


@given(binary, seeds, st.integers(2, 16), st.sampled_from([(0, True), (1, True), (1, False)]))
def test_D4_rl_time_of_a_step_matches_its_reward_prompt_by_prompt(problem, seed, size, kind):
    """The reward that a small step gains is what the RL path gains in that RL time."""
    ddof, std = kind
    policy = make_policy(np.random.default_rng(seed), problem)
    step_size = 1e-5
    rl_times = group_rl_time(problem, policy, step_size, size, ddof=ddof, normalised=std)
    step = group_velocity(problem, policy, size, ddof=ddof, normalised=std)
    for x, rl_time in enumerate(rl_times):
        prompt = one_prompt(policy[x], problem.expert[x], problem.reward[x])

        def gained(h, step=step[x], prompt=prompt):
            return mean(prompt, moved(prompt.reference, step[None], h), prompt.reward)

        def along(h, prompt=prompt):
            return distributional.tilted_reward(prompt, h)

        assert step_size * slope(gained) == pytest.approx(rl_time * slope(along), rel=1e-6, abs=1e-15)


@given(binary, seeds, st.integers(2, 16))
def test_D4_rl_time_is_the_stated_product(problem, seed, size):
    policy = make_policy(np.random.default_rng(seed), problem)
    rl_times = group_rl_time(problem, policy, 0.3, size)
    for x, (row, reward) in enumerate(zip(policy, problem.reward, strict=True)):
        p = pass_rate_in(row, reward)
        right = math.fsum((a / p) ** 2 for a, r in zip(row, reward, strict=True) if r == 1.0) if p > 0 else 0.0
        wrong = math.fsum((a / (1 - p)) ** 2 for a, r in zip(row, reward, strict=True) if r == 0.0) if p < 1 else 0.0
        scale = slow_scale(p, size) * math.sqrt((size - 1) / size)
        assert rl_times[x] == pytest.approx(0.3 * problem.prompts[x] * scale * (right + wrong), rel=1e-7, abs=1e-15)


@given(binary, seeds, st.integers(2, 16))
def test_D4_rl_time_of_the_whole_step_is_a_weighed_mean(problem, seed, size):
    """dR/V over all prompts (D5): each prompt's RL time weighed by rho p (1 - p)."""
    policy = make_policy(np.random.default_rng(seed), problem)
    weights = problem.prompts * (policy * np.square(centred_rows(problem, policy))).sum(axis=1)
    gained = reward_rate(problem, policy, group_velocity(problem, policy, size))
    expected = float(weights @ group_rl_time(problem, policy, 1.0, size))
    assert gained == pytest.approx(expected, rel=1e-9, abs=1e-13)


@given(binary, seeds, st.sampled_from([2, 8, math.inf]))
def test_D4_the_loss_moves_by_D3_s_sum_with_weights(problem, seed, size):
    policy = make_policy(np.random.default_rng(seed), problem)
    velocity = group_velocity(problem, policy, size, ddof=0)
    advantage, expected = centred_rows(problem, policy), 0.0
    for x, row in enumerate(policy):
        p = pass_rate_in(row, problem.reward[x])
        if 0 < p < 1:
            weight = (math.sqrt(p * (1 - p)) if size == math.inf else slow_scale(p, size)) / (p * (1 - p))
            plain = math.fsum(row * (row - problem.expert[x]) * advantage[x])
            expected += problem.prompts[x] ** 2 * weight * plain
    assert loss_rate(problem, policy, velocity) == pytest.approx(expected, rel=1e-6, abs=1e-10)
    assert loss_slope(problem, policy, velocity) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_D4_a_prompt_always_or_never_solved_does_not_move():
    policy = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    problem = finite.FiniteProblem(np.array([0.5, 0.5]), policy, policy, np.array([[1.0, 1.0, 0.0]] * 2))
    assert not group_velocity(problem, policy, 8).any() and group_rl_time(problem, policy, 1.0, 8).tolist() == [0, 0]


def test_D4_nothing_is_lost_next_to_a_pass_rate_of_1():
    """Wrong mass 1e-20: the pass rate rounds to 1, and the few mixed groups still step."""
    problem = one_prompt([1e-20, 1.0], [0.5, 0.5], [0.0, 1.0])
    expected = 2 * 1e-20 * math.sqrt(7) * math.sqrt(7 / 8)
    assert group_rl_time(problem, problem.reference, 1.0, 8)[0] == pytest.approx(expected, rel=1e-9, abs=0.0)


# -------------------------------------------------------------------------- natural gradient, advantages over their std


@given(binary, seeds)
def test_D4_std_natural_rl_time_differs_by_prompt(problem, seed):
    """The RL path of each prompt at its own pace 1/sd_x, and the loss moves at E_x (R_x - R_D,x)/sd_x."""
    policy = make_policy(np.random.default_rng(seed), problem)
    advantage, expected = centred_rows(problem, policy), 0.0
    velocity = std_natural_velocity(problem, policy)
    for x, row in enumerate(policy):
        deviation = math.sqrt(math.fsum(row * advantage[x] ** 2))
        if deviation < 1e-6:
            continue
        assert np.allclose(velocity[x], advantage[x] / deviation, rtol=1e-7)
        gap = math.fsum((row - problem.expert[x]) * problem.reward[x])
        expected += problem.prompts[x] * gap / deviation
    assume(all(math.fsum(row * a**2) > 0 for row, a in zip(policy, advantage, strict=True)))
    assert std_natural_loss_rate(problem, policy) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert loss_slope(problem, policy, velocity) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_D4_std_natural_sign_is_not_the_parity_gaps():
    """Two prompts of equal weight: +0.1 where rewards vary much, -0.08 where they vary little."""
    policy = np.array([[0.5, 0.5], [0.02, 0.98]])
    expert = np.array([[0.6, 0.4], [0.0, 1.0]])
    expert[0] = [0.55, 0.45]
    problem = finite.FiniteProblem(np.array([0.5, 0.5]), policy, expert, np.array([[0.0, 1.0]] * 2))
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assert gap == pytest.approx(0.015) and std_natural_loss_rate(problem, policy) < -0.02


@pytest.mark.parametrize("pass_rate", [1e-6, 0.1, 0.5, 0.99])
def test_D4_std_natural_pass_rate_by_integration(pass_rate):
    end = math.pi - 2 * math.asin(math.sqrt(pass_rate))
    times = np.linspace(0.0, 0.98 * end, 9)
    flow = integrate.solve_ivp(lambda _, p: np.sqrt(p * (1 - p)), (0, times[-1]), [pass_rate], "DOP853", times,
                               rtol=1e-12, atol=1e-15).y[0]  # fmt: skip
    assert np.allclose([std_natural_pass_rate(pass_rate, t) for t in times.tolist()], flow, rtol=1e-8)
    assert std_natural_pass_rate(pass_rate, 0.999999 * end) < 1.0 == std_natural_pass_rate(pass_rate, 1.000001 * end)


def test_D4_as_first_stated_is_wrong_for_a_prompt_never_solved():
    """sin^2(arcsin sqrt p_0 + t/2) lifts a pass rate of 0; without a right response there is nothing to reinforce."""
    problem = one_prompt([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    assert not std_natural_velocity(problem, problem.reference).any()
    assert math.sin(0.5) ** 2 > 0.2 and std_natural_pass_rate(0.0, 1.0) == 0.0
    assert std_natural_pass_rate(np.array([0.0, 0.5]), 1.0).tolist() == [0.0, std_natural_pass_rate(0.5, 1.0)]


@given(binary, seeds)
def test_D4_std_natural_loss_is_convex_in_time(problem, seed):
    """Binary reward, prompt by prompt in closed form, until the first prompt is done."""
    rates = np.array([pass_rate_in(*row) for row in zip(problem.reference, problem.reward, strict=True)])
    target = np.array([pass_rate_in(*row) for row in zip(problem.expert, problem.reward, strict=True)])
    assume(((rates > 1e-3) & (rates < 1 - 1e-3)).all())
    end = (math.pi - 2 * np.arcsin(np.sqrt(rates))).min()
    passes = np.array([std_natural_pass_rate(rates, t) for t in np.linspace(0.0, 0.99 * end, 60).tolist()])
    losses = -(target * np.log(passes) + (1 - target) * np.log1p(-passes)) @ problem.prompts
    assert (np.diff(losses, 2) >= -1e-12).all()


def test_D4_std_natural_loss_is_not_convex_for_other_rewards():
    """Convexity is of binary rewards: d2L/dt2 = 1 - (R - R_D) k3/(2 V^2) for one prompt."""
    problem = one_prompt([0.1, 0.8, 0.1], [1.0, 0.0, 0.0], [0.0, 1.0, 4.0])
    policy, step = problem.reference, 1e-3
    policies = [policy]
    for sign in (1, -1):  # the flow of the RL path at pace 1/sd, by small steps
        here = policy
        for _ in range(100):
            deviation = math.sqrt(finite.reward_variance(problem, here))
            middle = moved(here, problem.reward / deviation, sign * step / 200)
            here = moved(here, problem.reward / math.sqrt(finite.reward_variance(problem, middle)), sign * step / 100)
        policies.append(here)
    bend = (loss(problem, policies[1]) - 2 * loss(problem, policies[0]) + loss(problem, policies[2])) / step**2
    assert bend == pytest.approx(-0.3125, abs=1e-3)


# ------------------------------------------------------------------------------------------------------------- refusals


def test_D4_refuses_what_is_no_group():
    for size in (0, 2.5, -1, math.nan):
        with pytest.raises(DataError, match=f"group_size must be a whole number of at least 1, or inf. Got {size}"):
            group_step_scale(0.5, size, 1, True)
    with pytest.raises(DataError, match="ddof must be 0 or 1. Got 2. TRL's GRPO divides by the std of ddof 1."):
        group_step_scale(0.5, 8, 2, True)
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(DataError, match=f"pass_rate must be between 0 and 1. Got {rate}"):
            group_step_scale(rate, 8, 1, True)
        with pytest.raises(DataError, match=f"pass_rate must be between 0 and 1. Got {rate}"):
            std_natural_pass_rate(rate, 1.0)
    with pytest.raises(DataError, match="time must be at least 0. Got -1.0. Give the time since the start."):
        std_natural_pass_rate(0.5, -1.0)


def test_D4_refuses_a_reward_that_is_not_binary():
    problem = one_prompt([0.5, 0.5, 0.0], [0.4, 0.4, 0.2], [0.0, 1.0, 0.5])
    group_rl_time(problem, problem.reference, 1.0, 8)  # 0.5 is never given
    other = normalised(np.ones((1, 3)))
    for function in (lambda: group_rl_time(problem, other, 1.0, 8), lambda: group_velocity(problem, other, 8)):
        with pytest.raises(DataError, match=r"reward must be 0 or 1 on the policy's responses \(D4\)"):
            function()


def test_D4_conditions_are_decided():
    from interlace.theory.laws import LAWS

    problem = one_prompt([0.5, 0.5, 0.0], [0.4, 0.4, 0.2], [0.0, 1.0, 0.5])
    inputs = [{"problem": problem, "policy": policy} for policy in (problem.reference, normalised(np.ones((1, 3))))]
    assert [LAWS["D4"].conditions[0].check(each) for each in inputs] == [True, False]
