"""D6 and D7: a KL term in the objective, towards any anchor or towards the start."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate

from interlace.errors import DataError
from interlace.theory import distributional, finite
from interlace.theory.paths import anchored_loss_rate, anchored_policy, rl_clock, rl_clock_steps

from .moves import centred_rows, slope
from .problems import divergence, loss, make_policy, mean, normalised, one_prompt, problems

seeds = st.integers(0, 2**32 - 1)
coefficients = st.floats(0.01, 5.0)
times = st.floats(0.0, 20.0)


def slow_policy(problem, anchor, beta, time):
    """pi_0^a q^(1-a) exp(r (1 - a)/beta), response by response, shared support only."""
    a = math.exp(-beta * time)
    rows = []
    for reference, other, reward in zip(problem.reference, anchor, problem.reward, strict=True):
        logs = [a * math.log(p) + (1 - a) * (math.log(q) + r / beta) if p > 0 and q > 0 else -math.inf
                for p, q, r in zip(reference, other, reward, strict=True)]  # fmt: skip
        weights = [math.exp(value - max(logs)) for value in logs]
        rows.append([weight / math.fsum(weights) for weight in weights])
    return np.array(rows)


# ------------------------------------------------------------------------------------------------------------------- D6


@given(problems(), seeds, coefficients, times)
def test_D6_the_path_is_the_stated_product(problem, seed, beta, time):
    anchor = make_policy(np.random.default_rng(seed), problem)
    policy = anchored_policy(problem, anchor, beta, time)
    assert np.allclose(policy, slow_policy(problem, anchor, beta, time), rtol=1e-9, atol=1e-15)
    together = anchored_policy(problem, anchor, beta, np.array([0.0, time, math.inf]))
    assert np.allclose(together[1], policy, rtol=1e-12) and np.allclose(together[0], problem.reference, rtol=1e-12)
    end = distributional.tilted_policy(
        finite.FiniteProblem(problem.prompts, anchor, problem.expert, problem.reward), 1 / beta
    )
    assert np.allclose(together[2], end, rtol=1e-9, atol=1e-15)


@given(problems(), seeds, st.floats(0.05, 2.0))
def test_D6_the_path_is_where_natural_gradient_goes(problem, seed, beta):
    """dpi/ds = pi (v - E_pi v), v = r - beta log(pi/q): the objective's gradient in the Fisher geometry, integrated."""
    anchor = make_policy(np.random.default_rng(seed), problem)
    used = problem.support

    def flow(_, flat):
        logs = flat.reshape(used.shape)
        policy = np.where(used, np.exp(logs), 0.0)
        value = np.where(used, problem.reward - beta * (logs - np.log(np.where(used, anchor, 1.0))), 0.0)
        return (value - (policy * value).sum(axis=1, keepdims=True) / policy.sum(axis=1, keepdims=True)).ravel()

    start = np.where(used, np.log(np.where(used, problem.reference, 1.0)), 0.0).ravel()
    end = integrate.solve_ivp(flow, (0.0, 2.0), start, "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    policy = np.where(used, np.exp(end.reshape(used.shape)), 0.0)
    assert np.allclose(anchored_policy(problem, anchor, beta, 2.0), normalised(policy), rtol=1e-8, atol=1e-13)


def test_D6_the_flow_is_the_tabular_natural_gradient():
    """F^+ grad (R - beta KL(pi, q)) moves the logits at r - beta log(pi/q), up to a constant a prompt."""
    problem = one_prompt([0.2, 0.3, 0.5], [0.5, 0.3, 0.2], [0.0, 1.0, 0.4])
    anchor, policy, beta = np.array([[0.6, 0.3, 0.1]]), np.array([0.4, 0.4, 0.2]), 0.7

    def objective(logits):
        pi = np.exp(logits) / np.exp(logits).sum()
        return pi @ problem.reward[0] - beta * pi @ np.log(pi / anchor[0])

    gradient = [slope(lambda h, unit=unit: objective(np.log(policy) + h * unit)) for unit in np.eye(3)]
    velocity = np.linalg.pinv(np.diag(policy) - np.outer(policy, policy)) @ gradient
    expected = problem.reward[0] - beta * np.log(policy / anchor[0])
    assert np.ptp(velocity - expected) < 1e-9


@given(problems(experts=("dense", "sparse", "reference")), seeds, st.floats(0.05, 2.0), st.floats(0.01, 5.0))
def test_D6_loss_rate_along_the_path(problem, seed, beta, time):
    anchor = make_policy(np.random.default_rng(seed), problem)
    here = anchored_policy(problem, anchor, beta, time)
    expected = slope(lambda h: loss(problem, anchored_policy(problem, anchor, beta, time + h)), 1e-3)
    rate = anchored_loss_rate(problem, here, anchor, beta)
    assert rate == pytest.approx(expected, rel=1e-5, abs=1e-6)
    gained = mean(problem, here, problem.reward) - beta * divergence(problem, here, anchor)
    parity = problem.expert_reward - beta * (loss(problem, anchor) - loss(problem, here))
    assert rate == pytest.approx(gained - parity, rel=1e-9, abs=1e-11)


@given(problems(), seeds)
def test_D6_without_a_kl_term_it_is_the_parity_law(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    gap = mean(problem, policy, problem.reward) - problem.expert_reward
    assert anchored_loss_rate(problem, policy, problem.expert, 0.0) == pytest.approx(gap, rel=1e-9, abs=1e-12)
    path = anchored_policy(problem, policy, 0.0, np.array([0.0, 1.5, math.inf]))
    assert np.allclose(path, distributional.tilted_policy(problem, np.array([0.0, 1.5, math.inf])), rtol=1e-12)


@given(problems(experts=("dense", "sparse", "reference")), seeds, coefficients)
def test_D6_at_the_end_the_loss_has_risen_by_the_drift_and_the_tilt(problem, seed, beta):
    anchor = make_policy(np.random.default_rng(seed), problem)
    assume(np.ptp(problem.reward) / beta < 300)
    rise = loss(problem, anchored_policy(problem, anchor, beta, math.inf)) - loss(problem, problem.reference)
    from_anchor = finite.FiniteProblem(problem.prompts, anchor, problem.expert, problem.reward)
    tilt = distributional.sft_loss_increase(from_anchor, 1 / beta)
    assert rise == pytest.approx(loss(problem, anchor) - loss(problem, problem.reference) + tilt, rel=1e-9, abs=1e-9)


def test_D6_drift_back_costs_sft_loss_even_if_the_reward_is_constant():
    problem = one_prompt([0.1, 0.9], [0.1, 0.9], [1.0, 1.0])
    anchor = np.array([[0.5, 0.5]])
    losses = [loss(problem, anchored_policy(problem, anchor, 0.1, t)) for t in (0.0, 1.0, 10.0, math.inf)]
    assert (np.diff(losses) > 0).all()
    assert losses[-1] - losses[0] == pytest.approx(loss(problem, anchor) - loss(problem, problem.reference))


def test_D6_convexity_in_s_is_lost():
    problem = one_prompt([0.1, 0.9], [0.1, 0.9], [1.0, 1.0])
    losses = loss_at(problem, np.array([[0.5, 0.5]]), 0.1, np.linspace(0.0, 60.0, 61))
    assert np.diff(losses, 2).max() > 1e-4 and np.diff(losses, 2).min() < -1e-4


@given(problems(experts=("dense", "sparse")), seeds, coefficients)
def test_D6_the_loss_is_convex_in_the_clock(problem, seed, beta):
    """It is the RL path of the reward r + beta log(q/pi_0), run by D7's clock."""
    anchor = make_policy(np.random.default_rng(seed), problem)
    clocks = np.linspace(0.0, 0.95, 40) / beta
    times = -np.log1p(-beta * clocks) / beta
    losses = loss_at(problem, anchor, beta, times)
    assert (np.diff(losses, 2) >= -1e-9 * (1 + np.abs(losses).max())).all()


def loss_at(problem, anchor, beta, times):
    return np.array([loss(problem, anchored_policy(problem, anchor, beta, t)) for t in times.tolist()])


def test_D6_as_first_stated_is_wrong_where_the_anchor_leaves_the_starts_support():
    """The end is q's tilt within pi_0's support: L(q) + A1 is 0.69 here, and the loss at the end 0."""
    problem = one_prompt([1.0, 0.0], [1.0, 0.0], [0.0, 0.0])
    anchor = np.array([[0.5, 0.5]])
    end = anchored_policy(problem, anchor, 1.0, math.inf)
    assert end.tolist() == [[1.0, 0.0]] and loss(problem, end) == 0.0
    assert loss(problem, anchor) == pytest.approx(math.log(2))


def test_D6_zeros_of_anchor_and_start():
    problem = one_prompt([0.5, 0.3, 0.2, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 2.0, 9.0])
    anchor = np.array([[0.5, 0.25, 0.0, 0.25]])
    path = anchored_policy(problem, anchor, 0.5, np.array([0.0, 1e-9, 1.0, math.inf]))
    assert path[0].tolist() == problem.reference.tolist()  # at the start, nothing has moved
    assert (path[1:, 0, 2:] == 0.0).all()  # q's zeros are left at once, pi_0's never filled
    assert path[1, 0, :2] == pytest.approx([0.625, 0.375], rel=1e-6)
    assert path[3, 0, :2] == pytest.approx(np.array([2.0, math.exp(2.0)]) / (2.0 + math.exp(2.0)))


@pytest.mark.parametrize("beta", [1e-300, 1e-12, 1e-3, 1e3, 1e12])
def test_D6_extreme_coefficients(beta):
    """Tiny: the RL path of A; huge: the anchor at once."""
    problem = one_prompt([0.2, 0.3, 0.5], [0.5, 0.3, 0.2], [0.0, 1.0, 0.4])
    anchor = np.array([[0.6, 0.3, 0.1]])
    policy = anchored_policy(problem, anchor, beta, 1.0)
    nearest = distributional.tilted_policy(problem, 1.0) if beta < 1 else anchor
    assert np.allclose(policy, nearest, atol=3 * min(beta, 1 / beta) + 1e-12)
    assert np.isfinite(anchored_policy(problem, anchor, beta, math.inf)).all()


def test_D6_refuses_anchors_that_miss():
    problem = one_prompt([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0])
    with pytest.raises(DataError, match="anchor must share a response with the reference. Got none in row 1 of 1."):
        anchored_policy(problem, np.array([[0.0, 0.0, 1.0]]), 0.1, 1.0)
    with pytest.raises(DataError, match=r"anchor must be positive wherever policy and expert are \(D6\)"):
        anchored_loss_rate(problem, problem.reference, np.array([[1.0, 0.0, 0.0]]), 0.1)


def test_D6_conditions_are_decided():
    from interlace.theory.laws import LAWS

    problem = one_prompt([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0])
    anchors = np.array([[[0.3, 0.3, 0.4]], [[1.0, 0.0, 0.0]]])
    inputs = ({"problem": problem, "anchor": anchor} for anchor in anchors)
    assert [LAWS["D6"].conditions[0].check(each) for each in inputs] == [True, False]


# ------------------------------------------------------------------------------------------------------------------- D7


@given(problems(), coefficients, times)
def test_D7_towards_the_start_the_path_is_the_same_and_its_clock_slows(problem, beta, time):
    policy = anchored_policy(problem, problem.reference, beta, time)
    same = distributional.tilted_policy(problem, rl_clock(time, beta))
    assert np.allclose(policy, same, rtol=1e-9, atol=1e-15)
    assert rl_clock(time, beta) == pytest.approx((1 - math.exp(-beta * time)) / beta, rel=1e-9, abs=1e-12)


@given(coefficients, st.floats(0.01, 20.0))
def test_D7_the_clock_runs_at_one_less_what_it_has_spent(beta, time):
    assert rl_clock(0.0, beta) == 0.0
    pace = slope(lambda h: rl_clock(time + h, beta), 1e-3)
    assert pace == pytest.approx(1 - beta * rl_clock(time, beta), rel=1e-6, abs=1e-9)


def test_D7_the_clock_at_its_ends():
    assert rl_clock(math.inf, 0.04) == 25.0 and rl_clock(3.0, 0.0) == 3.0 and rl_clock(math.inf, 0.0) == math.inf
    assert rl_clock(1e9, 0.04) == 25.0
    assert rl_clock(2.0, 1e-300) == 2.0 and rl_clock(2.0, 1e-12) == pytest.approx(2.0 - 2e-12, rel=1e-15)
    assert rl_clock(1e-300, 5.0) == 1e-300
    grid = rl_clock(np.array([[0.0, 1.0], [2.0, math.inf]]), 0.5)
    assert grid.tolist() == [[rl_clock(t, 0.5) for t in row] for row in ([0.0, 1.0], [2.0, math.inf])]
    assert type(rl_clock(1.0, 0.5)) is float


@given(problems(), st.floats(0.05, 2.0), st.floats(0.05, 1.9), st.integers(0, 12))
def test_D7_finite_steps_of_mirror_descent(problem, beta, decay, steps):
    """pi <- pi exp(eta (r - beta log(pi/pi_0))) / norm., iterated: on the path, at the stated RL time."""
    eta, used, policy = decay / beta, problem.support, problem.reference
    assume(np.abs(problem.reward).max() / beta < 200)
    for _ in range(steps):
        ratio = np.log(np.where(used, policy, 1.0)) - np.log(np.where(used, problem.reference, 1.0))
        exponent = np.where(used, eta * (problem.reward - beta * ratio), -np.inf)
        policy = normalised(policy * np.exp(exponent - exponent.max(axis=1, keepdims=True)))
    assume(policy[used].min() > 0.0)
    spent = rl_clock_steps(steps, eta, beta)
    expected = distributional.tilted_policy(problem, spent)
    assert np.allclose(policy, expected, rtol=1e-7, atol=1e-13)


@pytest.mark.parametrize(("eta", "beta"), [(0.1, 0.5), (2.0, 0.5), (1e-9, 1e-9), (0.3, 0.0)])
def test_D7_step_by_step(eta, beta):
    spent = 0.0
    for step in range(8):
        assert rl_clock_steps(step, eta, beta) == pytest.approx(spent, rel=1e-12)
        spent += eta * (1 - beta * spent)


def test_D7_small_steps_are_the_flow():
    assert rl_clock_steps(10**6, 1e-6, 2.0) == pytest.approx(rl_clock(1.0, 2.0), rel=1e-5)


def test_D7_as_first_stated_is_wrong_for_long_steps():
    """'Saturates at 1/beta' is of the flow and of steps with eta beta < 2: from 2 on they never settle."""
    assert rl_clock_steps(1, 1.5, 1.0) == 1.5 and rl_clock_steps(200, 1.5, 1.0) == pytest.approx(1.0)
    assert [rl_clock_steps(k, 2.0, 1.0) for k in (1, 2, 101)] == [2.0, 0.0, 2.0]
    assert abs(rl_clock_steps(50, 2.1, 1.0)) > 100.0


def test_D7_conditions_are_decided():
    from interlace.theory.laws import LAWS

    inputs = ({"step_size": eta, "kl_coefficient": 1.0} for eta in (0.5, 2.0))
    assert [LAWS["D7"].conditions[1].check(each) for each in inputs] == [True, False]


def test_D7_refuses_what_is_no_clock():
    for beta in (-0.1, math.inf, math.nan):
        for clock in (lambda beta: rl_clock(1.0, beta), lambda beta: rl_clock_steps(1, 1.0, beta)):
            with pytest.raises(DataError, match=f"kl_coefficient must be at least 0 and finite. Got {beta}"):
                clock(beta)
    with pytest.raises(DataError, match="time must be at least 0. Got -1.0. Give the time since the start."):
        rl_clock(-1.0, 0.1)
    with pytest.raises(DataError, match="num_steps and step_size must be at least 0. Got -1 and 0.5."):
        rl_clock_steps(-1, 0.5, 0.1)


def test_D6_and_D7_hold_prompt_by_prompt():
    """The tilt is each prompt's own: a second prompt changes nothing for the first."""
    policy = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    problem = finite.FiniteProblem(np.array([0.3, 0.7]), policy, policy, np.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.0]]))
    anchor = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    alone = one_prompt(policy[0], policy[0], problem.reward[0])
    together = anchored_policy(problem, anchor, 0.3, 2.0)
    assert np.allclose(together[:1], anchored_policy(alone, anchor[:1], 0.3, 2.0), rtol=1e-14)
    assert np.allclose(centred_rows(problem, together)[:1], centred_rows(alone, together[:1]))


def test_D6_keeps_its_digits_where_beta_is_small():
    """Two responses of one reward: their odds are the anchor's and the start's alone, whatever the reward's size."""
    problem = one_prompt([0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [1.0, 1.0, 0.0])
    anchor, beta, time = np.array([[0.2, 0.5, 0.3]]), 1e-8, 1e8
    policy = anchored_policy(problem, anchor, beta, time)
    share = math.exp(-beta * time)
    assert policy[0, 0] / policy[0, 1] == pytest.approx((5 / 3) ** share * (2 / 5) ** (1 - share), rel=1e-11)
