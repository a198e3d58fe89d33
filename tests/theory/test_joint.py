"""D9 and the exact floor of D13, against bisection in loops, a general optimiser, grids and random policies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from interlace.errors import DataError
from interlace.theory import finite
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import (
    allowed,
    front,
    joint_optimum,
    joint_value,
    least_sft_loss,
    regret,
    sft_loss_floor,
)

from .problems import loss, make_problem, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)
rates = st.floats(-3.0, 3.0).map(lambda exponent: 10.0**exponent)


@st.composite
def wide_problems(draw):
    """Also experts that give what the reference never does, and prompts of weight 0."""
    problem = draw(problems())
    if draw(st.booleans()):
        problem = FiniteProblem(problem.prompts, problem.expert, problem.reference, problem.reward)
    if problem.prompts.size > 1 and draw(st.booleans()):
        weights = np.array([0.0, *problem.prompts[1:]])
        problem = FiniteProblem(weights / weights.sum(), problem.reference, problem.expert, problem.reward)
    return problem


def any_policy(seed, problem, zeros=True):
    """Any policy on the allowed responses; with `zeros` some of the expert's own are missing at times."""
    rng = np.random.default_rng(seed)
    weight = allowed(problem) * rng.gamma(0.7, size=problem.reward.shape).clip(1e-6)
    if zeros and rng.random() < 0.3:
        weight *= rng.random(weight.shape) < 0.8
        weight[problem.prompts == 0.0] = 0.0  # the slow twin multiplies 0 by inf there
    return normalised(np.where(weight.sum(axis=1, keepdims=True) > 0.0, weight, problem.expert))


def worth(problem, policy, exchange_rate):
    """R - lambda L, response by response."""
    return mean(problem, policy, problem.reward) - exchange_rate * loss(problem, policy)


def nu_by_bisection(expert, reward, exchange_rate):
    """The nu above the expert's rewards with sum lambda p_D/(nu - r) = 1, of one prompt."""
    terms = [(p, r) for p, r in zip(expert, reward, strict=True) if p > 0]
    best = max(r for _, r in terms)
    low, high = 0.0, exchange_rate  # of nu - best
    for _ in range(2000):
        middle = 0.5 * (low + high)
        if math.fsum(exchange_rate * p / (middle + (best - r)) for p, r in terms) > 1.0:
            low = middle
        else:
            high = middle
    return best + high


@given(wide_problems(), rates)
def test_D9_optimum_is_lambda_expert_over_nu_minus_reward(problem, exchange_rate):
    policy = joint_optimum(problem, exchange_rate)
    assert np.allclose(policy.sum(axis=1), 1.0, rtol=0.0, atol=1e-13) and (policy >= 0.0).all()
    assert not policy[~allowed(problem)].any()
    for row, expert, reward, reference in zip(policy, problem.expert, problem.reward, problem.reference, strict=True):
        nu = nu_by_bisection(expert, reward, exchange_rate)
        off = [(r, q) for r, q, p in zip(reward, reference, expert, strict=True) if p == 0.0 and q > 0.0]
        nu = max([nu, *(r for r, _ in off)])
        ideal = [exchange_rate * p / (nu - r) if p > 0.0 else 0.0 for p, r in zip(expert, reward, strict=True)]
        left = 1.0 - math.fsum(ideal)
        ties = math.fsum(q for r, q in off if r == nu)
        if left > 1e-12:
            ideal = [i + (left * q / ties if p == 0.0 and q > 0.0 and r == nu else 0.0)
                     for i, q, r, p in zip(ideal, reference, reward, expert, strict=True)]  # fmt: skip
        assert np.allclose(row, ideal, rtol=1e-9, atol=1e-12)


@given(wide_problems(), rates)
def test_D9_optimum_meets_the_kkt_conditions(problem, exchange_rate):
    """r + lambda p_D/pi is one number nu where pi > 0, and not above it on the other allowed responses."""
    policy = joint_optimum(problem, exchange_rate)
    for x in range(policy.shape[0]):
        on = policy[x] > 1e-9
        marginal = problem.reward[x, on] + exchange_rate * problem.expert[x, on] / policy[x, on]
        nu = marginal.mean()
        assert np.allclose(marginal, nu, rtol=1e-6, atol=1e-6)
        assert (problem.reward[x, allowed(problem)[x] & ~on] <= nu + 1e-6 * (1.0 + abs(nu))).all()


@settings(max_examples=25)
@given(seeds, rates, st.booleans())
def test_D9_optimum_is_what_a_general_optimiser_finds(seed, exchange_rate, gap_in_expert):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng, 2, 4, "continuous", "dense")
    if gap_in_expert:  # the best response is the reference's alone
        expert = np.where(problem.reward == finite.top_reward(problem)[:, None], 0.0, problem.expert)
        problem = FiniteProblem(problem.prompts, problem.reference, normalised(expert), problem.reward)
    exchange_rate = min(max(exchange_rate, 0.05), 20.0)

    def cost(flat):
        policy = flat.reshape(problem.reward.shape)
        seen = problem.expert > 0.0
        log = np.log(np.where(seen, np.maximum(policy, 1e-12), 1.0))
        rows = (policy * problem.reward).sum(axis=1) + exchange_rate * (problem.expert * log).sum(axis=1)
        return -float(problem.prompts @ rows)

    found = optimize.minimize(
        cost, problem.expert.ravel(), method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        bounds=[(0.0, 1.0 if ok else 0.0) for ok in allowed(problem).ravel()],
        constraints=[{"type": "eq", "fun": lambda flat, x=x: flat.reshape(2, 4)[x].sum() - 1.0} for x in range(2)],
    )  # fmt: skip
    assert joint_value(problem, exchange_rate) >= -found.fun - 1e-9
    assert joint_value(problem, exchange_rate) == pytest.approx(-found.fun, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("expert", [[0.2, 0.5, 0.3], [0.0, 0.4, 0.6], [0.0, 1.0, 0.0]])
@pytest.mark.parametrize("exchange_rate", [0.1, 1.0, 10.0])
def test_D9_nothing_on_a_dense_grid_is_better(expert, exchange_rate):
    problem = one_prompt([0.4, 0.3, 0.3], expert, [1.5, 0.0, 1.0])
    grid = np.array([[i, j, 400 - i - j] for i in range(401) for j in range(401 - i)]) / 400
    with np.errstate(divide="ignore"):
        logs = np.where(problem.expert > 0.0, np.log(grid), 0.0)
    values = grid @ problem.reward[0] + exchange_rate * logs @ problem.expert[0]
    best = joint_value(problem, exchange_rate)
    assert values.max() <= best <= values.max() + 1e-3 * (1.0 + exchange_rate)


@given(wide_problems(), rates)
def test_D9_value_is_what_the_optimum_is_worth(problem, exchange_rate):
    """And E_x[nu - lambda + lambda E_D log(lambda p_D/(nu - r))]."""
    policy = joint_optimum(problem, exchange_rate)
    value = joint_value(problem, exchange_rate)
    assert value == pytest.approx(worth(problem, policy, exchange_rate), rel=1e-9, abs=1e-12)
    total = 0.0
    for x, weight in enumerate(problem.prompts):
        nu = nu_by_bisection(problem.expert[x], problem.reward[x], exchange_rate)
        off = problem.support[x] & (problem.expert[x] == 0.0)
        nu = max([nu, *problem.reward[x, off]])
        logs = [p * math.log(exchange_rate * p / (nu - r))
                for p, r in zip(problem.expert[x], problem.reward[x], strict=True) if p > 0]  # fmt: skip
        total += weight * (nu - exchange_rate + exchange_rate * math.fsum(logs))
    assert value == pytest.approx(total, rel=1e-8, abs=1e-9)


@given(wide_problems(), rates, seeds)
def test_D9_regret_is_exact_for_any_policy(problem, exchange_rate, seed):
    policy = any_policy(seed, problem)
    short = regret(problem, policy, exchange_rate)
    assert short >= 0.0
    expected = joint_value(problem, exchange_rate) - worth(problem, policy, exchange_rate)
    assert short == pytest.approx(expected, rel=1e-9, abs=1e-11 * (1.0 + exchange_rate))


@given(wide_problems(), rates)
def test_D9_regret_is_zero_at_the_optimum_alone(problem, exchange_rate):
    policy = joint_optimum(problem, exchange_rate)
    assert regret(problem, policy, exchange_rate) < 1e-14 * (1.0 + exchange_rate)
    moved = 0.99 * policy + 0.01 * normalised(allowed(problem) * 1.0)
    if np.abs(moved - policy)[problem.prompts > 0.0].max() > 1e-3:
        assert regret(problem, moved, exchange_rate) > 0.0


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9])
def test_D9_regret_keeps_its_digits_near_the_optimum(distance):
    """Second order: lambda sum (dpi)^2 p_D/(2 pi^2), far below the rounding of R - lambda L."""
    problem = one_prompt([0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.0, 0.5, 1.0])
    policy = joint_optimum(problem, 1.0)
    step = distance * np.array([[1.0, -2.0, 1.0]])
    expected = float((step**2 * problem.expert / (2.0 * policy**2)).sum())
    assert regret(problem, policy + step, 1.0) == pytest.approx(expected, rel=10 * distance + 1e-6)


def test_D9_regret_of_a_policy_that_misses_the_expert_is_infinite():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert regret(problem, np.array([[0.0, 1.0]]), 1.0) == math.inf
    assert regret(problem, np.array([[1e-300, 1.0]]), 1.0) == pytest.approx(0.5 * 300.0 * math.log(10.0), abs=2.0)
    unseen = FiniteProblem(np.array([1.0, 0.0]), *(np.tile(table, (2, 1)) for table in (
        problem.reference, problem.expert, problem.reward)))  # fmt: skip
    assert regret(unseen, np.vstack([problem.expert, [[0.0, 1.0]]]), 1.0) == regret(problem, problem.expert, 1.0)


def test_D9_holds_within_the_allowed_responses_only():
    """Condition violated: half of the policy's mass is on what neither can give, whose reward counts as 0."""
    from interlace.theory.laws import LAWS

    problem = one_prompt([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 9.0])
    policy = np.array([[0.25, 0.25, 0.5]])
    within = LAWS["D9"].conditions[-1]
    assert within.check({"problem": problem, "policy": policy}) is False
    assert within.check({"problem": problem, "policy": problem.reference}) is True
    assert finite.expected_reward(problem, policy) == 0.25


def test_D9_mass_left_over_sits_on_the_best_response_that_the_expert_never_gives():
    problem = one_prompt([0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 2.0, 1.0])
    assert np.allclose(joint_optimum(problem, 0.5), [[0.25, 0.3, 0.45, 0.0]])  # nu = 2: lambda/nu stays, ties 2 to 3
    assert joint_optimum(problem, 2.0).tolist() == problem.expert.tolist()  # nu = lambda = 2: nothing is left over
    assert joint_optimum(problem, 3.0).tolist() == problem.expert.tolist()


@pytest.mark.parametrize("exchange_rate", [1e-12, 1e-6, 1e6, 1e12])
def test_D9_rates_may_be_tiny_and_huge(exchange_rate):
    rng = np.random.default_rng(3)
    for experts in ("dense", "sparse", "perfect"):
        problem = make_problem(rng, 3, 8, "continuous", experts)
        policy = joint_optimum(problem, exchange_rate)
        assert np.allclose(policy.sum(axis=1), 1.0, rtol=0.0, atol=1e-14)
        end = problem.expert if exchange_rate > 1.0 else (problem.reward == finite.top_reward(problem)[:, None]) * 1.0
        assert np.allclose(policy, end if experts != "perfect" else problem.expert, atol=1e-5)
        assert regret(problem, policy, exchange_rate) <= 1e-16 * exchange_rate


def test_D9_best_responses_may_have_hardly_any_mass():
    problem = one_prompt([0.5, 0.5], [1e-250, 1.0], [1.0, 0.0])
    for exchange_rate in (0.5, 1.0, 2.0):
        best = joint_optimum(problem, exchange_rate)[0, 0]  # lambda p/t + lambda/(t + 1) = 1
        expected = {0.5: 0.5, 1.0: 1e-125, 2.0: 2e-250}[exchange_rate]
        assert best == pytest.approx(expected, rel=1e-9)


@given(wide_problems(), seeds)
def test_D9_front_is_dominated_by_nothing(problem, seed):
    points = front(problem, np.geomspace(1e-3, 1e3, 13))
    assert (np.diff(points.reward) <= 1e-12).all() and (np.diff(points.sft_loss) <= 1e-12).all()
    policy = any_policy(seed, problem, zeros=False)
    reward, cost = mean(problem, policy, problem.reward), loss(problem, policy)
    on = (points.reward <= reward + 1e-12) & (points.sft_loss >= cost - 1e-12)
    if on.any():  # only a point of the front itself is as good as a point of the front
        assert np.abs(points.reward[on] - reward).max() < 1e-9 and np.abs(points.sft_loss[on] - cost).max() < 1e-9


@given(problems(rewards=("binary", "continuous"), experts=("dense",)))
def test_D9_front_runs_from_the_expert_to_the_best_responses(problem):
    far, near = front(problem, np.array([1e9, 1e-9])).reward
    top = float(problem.prompts @ finite.top_reward(problem))
    assert far == pytest.approx(problem.expert_reward, abs=1e-7) and near == pytest.approx(top, abs=1e-6)


def test_D9_front_of_no_rates_and_of_rates_that_are_none():
    problem = one_prompt([0.5, 0.5], [0.5, 0.5], [0.0, 1.0])
    assert [part.shape for part in front(problem, np.array([]))] == [(0,)] * 3
    for function in (joint_optimum, joint_value, lambda p, rate: regret(p, p.expert, rate),
                     lambda p, rate: front(p, np.array([rate]))):  # fmt: skip
        for rate in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(DataError, match=rf"exchange_rate must be positive and finite\. Got {rate}\."):
                function(problem, rate)


def test_D9_optimum_of_4096_prompts_is_a_policy():
    rng = np.random.default_rng(0)
    table = (4096, 64)
    problem = FiniteProblem(np.full(4096, 1 / 4096), normalised(rng.random(table)),
                            normalised(rng.gamma(0.1, size=table).clip(1e-60)), rng.normal(size=table))  # fmt: skip
    policy = joint_optimum(problem, 1.0)
    assert np.allclose(policy.sum(axis=1), 1.0, rtol=0.0, atol=1e-13)


# ------------------------------------------------------------------------------------------------ D13: the exact floor


@given(wide_problems(), seeds)
def test_D13_no_policy_is_below_the_exact_floor(problem, seed):
    policy = any_policy(seed, problem, zeros=False)
    reward = mean(problem, policy, problem.reward)
    floor = least_sft_loss(problem, reward)
    assert sft_loss_floor(problem, reward) - 1e-9 <= floor <= loss(problem, policy) + 1e-9


@given(wide_problems(), rates)
def test_D13_the_exact_floor_is_the_front(problem, exchange_rate):
    policy = joint_optimum(problem, exchange_rate)
    reward = finite.expected_reward(problem, policy)
    if reward > problem.expert_reward + 1e-9:
        # a rounding error of the reward moves the loss by that over the exchange rate
        slack = 1e-15 * np.abs(problem.reward).max() * 10 / exchange_rate
        assert least_sft_loss(problem, reward) == pytest.approx(loss(problem, policy), rel=1e-9, abs=1e-12 + slack)


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 0.9))
def test_D13_exact_floor_is_what_a_general_optimiser_finds(seed, part):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng, 2, 4, "continuous", "dense")
    top = float(problem.prompts @ finite.top_reward(problem))
    wanted = problem.expert_reward + part * (top - problem.expert_reward)
    present = (problem.expert > 0.0).ravel()

    def cost(flat):
        log = np.log(np.where(present, np.maximum(flat, 1e-12), 1.0)).reshape(2, 4)
        return -float(problem.prompts @ (problem.expert * log).sum(axis=1))

    def spare(flat):
        return float(problem.prompts @ (flat.reshape(2, 4) * problem.reward).sum(axis=1)) - wanted

    found = optimize.minimize(
        cost, problem.expert.ravel(), method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        bounds=[(0.0, 1.0 * here) for here in present],
        constraints=[{"type": "eq", "fun": lambda flat: flat.reshape(2, 4).sum(axis=1) - 1.0},
                     {"type": "ineq", "fun": spare}],
    )  # fmt: skip
    assume(found.success and spare(found.x) > -1e-9)
    assert least_sft_loss(problem, wanted) <= found.fun + 1e-7
    assert least_sft_loss(problem, wanted) == pytest.approx(found.fun, rel=1e-4, abs=1e-5)


def test_D13_exact_floor_in_closed_form():
    """Two responses: the pass rate decides the policy."""
    problem = one_prompt([0.5, 0.5], [0.25, 0.75], [0.0, 1.0])
    for rate in (0.8, 0.99, 1.0 - 1e-9):
        expected = -0.25 * math.log1p(-rate) - 0.75 * math.log(rate)
        assert least_sft_loss(problem, rate) == pytest.approx(expected, rel=1e-9)


def test_D13_exact_floor_at_and_beyond_its_ends():
    problem = one_prompt([0.5, 0.5], [0.25, 0.75], [0.0, 1.0])
    entropy = finite.entropy(problem, problem.expert)
    rewards = (-math.inf, 0.0, 0.75, 1.0, 1.5, math.inf)
    assert [least_sft_loss(problem, r) for r in rewards] == [entropy] * 3 + [math.inf] * 3
    perfect = one_prompt([0.4, 0.3, 0.3], [0.0, 0.5, 0.5], [0.0, 1.0, 1.0])
    assert least_sft_loss(perfect, 1.0) == least_sft_loss(perfect, 1.0 + 1e-15) == pytest.approx(math.log(2.0))
    assert least_sft_loss(perfect, 1.001) == math.inf
    flat = one_prompt([0.4, 0.6], [0.5, 0.5], [0.3, 0.3])
    assert [least_sft_loss(flat, r) for r in (0.3, 0.31)] == [pytest.approx(math.log(2.0)), math.inf]
    with pytest.raises(DataError, match=r"reward must be a number\. Got nan\."):
        least_sft_loss(problem, math.nan)


def test_D13_exact_floor_uses_what_only_the_reference_gives():
    problem = one_prompt([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    assert least_sft_loss(problem, 0.25) == pytest.approx(-math.log(0.75), rel=1e-12)


def test_D13_exact_floor_is_quadratic_near_the_expert():
    """L - H = (R - R_D)^2/(2 V(p_D)) to second order: the bound's constant is the widest variance's, w^2/4."""
    problem = one_prompt([0.5, 0.2, 0.3], [0.5, 0.2, 0.3], [0.0, 0.4, 1.0])
    entropy, variance = finite.entropy(problem, problem.expert), finite.reward_variance(problem, problem.expert)
    excess = least_sft_loss(problem, problem.expert_reward + 1e-4) - entropy
    assert excess == pytest.approx(1e-8 / (2.0 * variance), rel=1e-3)


@given(wide_problems(), st.floats(0.0, 2.0), seeds)
def test_D13_reward_certainly_costs_sft_loss_against_a_good_start(problem, extra, seed):
    """2 ((R - R_D)/w)^2 > L_0 - H: whatever earns R has lost SFT loss against the start of loss L_0."""
    reward = problem.expert_reward + extra
    start = 0.9 * problem.expert + 0.1 * any_policy(seed, problem, zeros=False)
    width = finite.reward_range(problem, problem.reference, problem.expert)
    start_loss, entropy = loss(problem, start), finite.entropy(problem, problem.expert)
    if width > 0.0 and 2.0 * (extra / width) ** 2 > start_loss - entropy + 1e-9:
        assert least_sft_loss(problem, reward) > start_loss
