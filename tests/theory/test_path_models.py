"""The path models and `follow`: each path against an independent integration of its flow, RL time included (D5)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from interlace.errors import DataError
from interlace.theory import distributional, finite, paths
from interlace.theory.paths import PATH_MODELS, anchored_policy, follow, rl_clock

from .moves import pass_rate_in
from .problems import divergence, loss, make_policy, make_problem, mean, normalised, one_prompt, problems, tilted

seeds = st.integers(0, 2**32 - 1)
fewer = settings(max_examples=25)
INTEGRATED = ("softmax", "group_normalised")


def plain_velocity(problem, policy):
    rewards = np.array([math.fsum(p * r) for p, r in zip(policy, problem.reward, strict=True)])
    return problem.prompts[:, None] * policy * (problem.reward - rewards[:, None])


def group_velocity(problem, policy, size, ddof):
    velocity = np.zeros_like(policy)
    for x, (row, reward) in enumerate(zip(policy, problem.reward, strict=True)):
        p = pass_rate_in(row, reward)
        if not 0.0 < p < 1.0:
            continue
        if size == math.inf:
            scale = math.sqrt(p * (1 - p))
        else:
            terms = (special.binom(size, n) * p**n * (1 - p) ** (size - n) * math.sqrt(n * (size - n)) / size
                     for n in range(1, size))  # fmt: skip
            scale = math.fsum(terms) * math.sqrt((size - ddof) / size)
        wrong = math.fsum(row[reward == 0.0])
        velocity[x] = problem.prompts[x] * scale * np.where(reward == 1.0, row / p, -row / wrong)
    return velocity


def slow_path(problem, velocity, times):
    """dpi/dt = pi (v - E_pi v) and dtau = dR/V in probabilities, by another solver; rows of tau, R, L, KL."""
    shape = problem.reference.shape

    def flow(_, state):
        policy = state[:-1].reshape(shape)
        v = velocity(problem, policy)
        change = policy * (v - (policy * v).sum(axis=1, keepdims=True))
        means = (policy * problem.reward).sum(axis=1, keepdims=True)
        variance = problem.prompts @ (policy * (problem.reward - means) ** 2).sum(axis=1)
        gain = problem.prompts @ (change * problem.reward).sum(axis=1)
        return np.append(change.ravel(), gain / variance if variance > 1e-25 else 0.0)

    state = np.append(problem.reference.ravel(), 0.0)
    rows = []
    for before, now in zip(np.append(0.0, times[:-1]), times, strict=True):
        if now > before:
            state = integrate.solve_ivp(flow, (before, now), state, "RK45", rtol=1e-11, atol=1e-14).y[:, -1]
        policy = state[:-1].reshape(shape)
        rows.append((state[-1], *figures(problem, policy)))
    return np.array(rows).T


def figures(problem, policy):
    return mean(problem, policy, problem.reward), loss(problem, policy), divergence(problem, policy, problem.reference)


def agrees(path, rows, tolerance=1e-6):
    for name, expected in zip(("rl_time", "reward", "sft_loss", "kl"), rows, strict=True):
        assert np.allclose(getattr(path, name), expected, rtol=tolerance, atol=tolerance * 1e-2), name


# -------------------------------------------------------------------------------------------------------- integrated


@fewer
@given(
    problems(experts=("dense", "sparse", "perfect")),
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=3, unique=True),
)
def test_D3_softmax_path_by_another_solver(problem, times):
    grid = np.sort(times)
    agrees(follow(problem, "softmax", grid), slow_path(problem, plain_velocity, grid), 1e-8)


@fewer
@given(
    problems(rewards=("binary",), experts=("dense", "sparse")), st.sampled_from([2, 5, 8, math.inf]), st.integers(0, 1)
)
def test_D4_group_path_by_another_solver(problem, size, ddof):
    grid = np.array([0.7, 3.0, 12.0])
    expected = slow_path(problem, lambda problem, policy: group_velocity(problem, policy, size, ddof), grid)
    agrees(follow(problem, "group_normalised", grid, group_size=size, ddof=ddof), expected, 1e-8)


@pytest.mark.parametrize("name", INTEGRATED)
def test_an_integrated_path_stays_exact_for_long(name):
    """Late, when the policy is nearly always right: against the closed form of two responses.

    Logit gap z = log(p/(1 - p)): plain, dz/dt = 2 p (1 - p); groups of 2 (ddof 0), dz/dt = 2 g_2, the same.
    So z + sinh z grows as t, and the RL time is z - z_0.
    """
    problem = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 1.0])
    times = np.array([1.0, 10.0, 1e3, 1e6])
    path = follow(problem, name, times, group_size=2, ddof=0)
    start = math.log(0.2 / 0.8)
    for spent, now in zip(path.rl_time, times, strict=True):
        z = start + spent
        assert z + math.sinh(z) == pytest.approx(start + math.sinh(start) + now, rel=1e-8)
    assert np.allclose(path.reward, special.expit(start + path.rl_time), rtol=1e-9)


@given(problems(rewards=("binary",)), st.sampled_from(INTEGRATED))
@fewer
def test_an_integrated_path_does_not_depend_on_the_times_asked_for(problem, name):
    sparse = follow(problem, name, np.array([2.0, 7.0]))
    dense = follow(problem, name, np.linspace(0.0, 7.0, 8))
    for column in ("rl_time", "reward", "sft_loss", "kl"):
        assert np.allclose(getattr(sparse, column), getattr(dense, column)[[2, 7]], rtol=1e-9, atol=1e-10)


def test_rates_are_the_slopes_of_the_paths():
    """D1's dL/dt and dR/dt, D3's and D4's velocities, read off the followed paths."""
    problem = make_problem(np.random.default_rng(5), 3, 6, "binary", "dense")
    step = 1e-3
    for name, velocity in (("softmax", paths.softmax_velocity(problem, problem.reference)),
                           ("group_normalised", paths.group_velocity(problem, problem.reference, 8))):  # fmt: skip
        path = follow(problem, name, np.array([0.0, step, 2 * step]))
        for column, rate in ((path.sft_loss, paths.loss_rate), (path.reward, paths.reward_rate)):
            slope = (4 * column[1] - column[2] - 3 * column[0]) / (2 * step)
            assert slope == pytest.approx(rate(problem, problem.reference, velocity), abs=1e-6)


def test_D3_the_followed_path_leaves_parity():
    """The printed counter-example along the whole path: below parity, and SFT loss rises from the first moment."""
    problem = one_prompt([0.5, 0.1, 0.4], [0.10, 0.55, 0.35], [1.0, 1.0, 0.0])
    path = follow(problem, "softmax", np.linspace(0.0, 0.5, 6))
    assert (path.reward[:4] < 0.65).all() and (np.diff(path.sft_loss) > 0).all()
    natural = follow(problem, "natural", np.linspace(0.0, 0.2, 6))
    assert (np.diff(natural.sft_loss) < 0).all()


# --------------------------------------------------------------------------------------------------------------- exact


@given(problems(), st.floats(0.0, 20.0))
def test_A4_natural_path_is_the_tilt(problem, rl_time):
    path = follow(problem, "natural", rl_time)
    assert path.time.tolist() == path.rl_time.tolist() == [rl_time]
    agrees(path, np.array([[rl_time, *figures(problem, tilted(problem, rl_time))]]).T, 1e-9)


def test_A4_natural_path_at_its_end_and_far_out():
    problem = one_prompt([0.5, 0.5], [0.25, 0.75], [0.0, 1.0])
    path = follow(problem, "natural", np.array([0.0, 1e4, math.inf]))
    assert path.reward.tolist() == [0.5, 1.0, 1.0] and path.kl[1:] == pytest.approx(math.log(2))
    # A1: E log Z - tau R_D, finite where the policy itself underflows
    assert path.sft_loss[1] - path.sft_loss[0] == pytest.approx(1e4 - math.log(2) - 7500.0, rel=1e-12)
    assert path.sft_loss[2] == math.inf
    perfect = one_prompt([0.5, 0.5], [0.0, 1.0], [0.0, 1.0])
    assert follow(perfect, "natural", math.inf).sft_loss.tolist() == [0.0]


@given(problems(), st.floats(0.01, 3.0))
def test_D7_without_an_anchor_only_the_clock_is_another(problem, beta):
    times = np.array([0.0, 0.5, 4.0, math.inf])
    path = follow(problem, "kl_regularised", times, kl_coefficient=beta)
    same = follow(problem, "natural", rl_clock(times, beta))
    assert path.time.tolist() == times.tolist() and path.rl_time[3] == 1 / beta
    for column in ("rl_time", "reward", "sft_loss", "kl"):
        assert getattr(path, column).tolist() == getattr(same, column).tolist()


@fewer
@given(problems(rewards=("binary", "continuous"), experts=("dense", "sparse")), seeds, st.floats(0.1, 2.0))
def test_D6_anchored_path_by_another_solver(problem, seed, beta):
    anchor = make_policy(np.random.default_rng(seed), problem)
    times = np.array([0.0, 0.5, 2.0])

    def velocity(problem, policy):
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = np.log(np.where(problem.support, policy, 1.0) / np.where(problem.support, anchor, 1.0))
        return np.where(problem.support, problem.reward - beta * pull, 0.0)

    path = follow(problem, "kl_regularised", times, kl_coefficient=beta, anchor=anchor)
    exact = np.array([figures(problem, anchored_policy(problem, anchor, beta, t)) for t in times.tolist()]).T
    agrees(path, [path.rl_time, *exact], 1e-9)
    agrees(path, slow_path(problem, velocity, times), 1e-6)


def test_D6_an_anchor_at_the_start_is_D7():
    problem = make_problem(np.random.default_rng(3), 3, 6, "continuous", "dense")
    times = np.array([0.0, 1.0, 10.0, 1e3, math.inf])
    anchored = follow(problem, "kl_regularised", times, kl_coefficient=0.02, anchor=problem.reference)
    clocked = follow(problem, "kl_regularised", times, kl_coefficient=0.02)
    for column in ("rl_time", "reward", "sft_loss", "kl"):
        assert np.allclose(getattr(anchored, column), getattr(clocked, column), rtol=1e-9, atol=1e-12)


def test_D6_rl_time_where_the_variance_underflows():
    """beta 0.001: the clock runs to 1000, wrong answers to e^-1000; dR/V is still known.

    One prompt, two responses, the RL time is the change of log-odds: 1000 + log-odds of the anchor - of the start.
    """
    problem = one_prompt([0.7, 0.3], [0.5, 0.5], [0.0, 1.0])
    anchor = np.array([[0.1, 0.9]])
    path = follow(problem, "kl_regularised", np.array([1.0, 1e3, math.inf]), kl_coefficient=1e-3, anchor=anchor)
    assert path.rl_time[2] == pytest.approx(1000.0 + math.log(9.0) - math.log(3 / 7), rel=1e-9)
    ran = -math.expm1(-1e-3)
    assert path.rl_time[0] == pytest.approx(ran * path.rl_time[2], rel=1e-9)


def test_D6_a_clock_that_stands_still_is_no_trouble():
    """Late times whose clocks agree up to rounding, some of them turned back by it."""
    problem = one_prompt([0.3, 0.7], [0.5, 0.5], [0.0, 1.0])
    times = np.linspace(20.0, 60.0, 41) / 0.7
    assert (np.diff(rl_clock(times, 0.7)) < 0).any()
    path = follow(problem, "kl_regularised", times, kl_coefficient=0.7, anchor=np.array([[0.5, 0.5]]))
    assert np.allclose(path.rl_time, 1 / 0.7 + math.log(3 / 7), rtol=1e-8)


def test_D6_rl_time_runs_backwards_where_the_anchor_takes_reward_away():
    problem = one_prompt([0.3, 0.7], [0.5, 0.5], [0.0, 1.0])
    path = follow(problem, "kl_regularised", [0.0, 1.0, 2.0], kl_coefficient=1.0, anchor=np.array([[0.99, 0.01]]))
    assert (np.diff(path.rl_time) < 0).all() and (np.diff(path.reward) < 0).all()


# ------------------------------------------------------------------------------------------- only the systematic moves


def systematic_velocity(problem, policy):
    """Velocities r among the expert's and the best responses; all others at the mean of those, so that they stay."""
    velocity = np.zeros_like(policy)
    for x, row in enumerate(policy):
        best = max(r for r, p in zip(problem.reward[x], problem.reference[x], strict=True) if p > 0)
        moving = [y for y, p in enumerate(row) if p > 0 and (problem.expert[x, y] > 0 or problem.reward[x, y] == best)]
        mean = math.fsum(row[y] * problem.reward[x, y] for y in moving) / math.fsum(row[y] for y in moving)
        velocity[x] = [problem.reward[x, y] if y in moving else mean for y in range(row.size)]
    return velocity


@fewer
@given(seeds, st.sampled_from(["binary", "continuous"]))
def test_systematic_is_its_own_flow(seed, kind):
    problem = make_problem(np.random.default_rng(seed), 3, 6, kind, "sparse")
    times = np.array([0.0, 0.7, 3.0])
    path = follow(problem, "systematic", times)
    finite_loss = np.isfinite(path.sft_loss)
    expected = slow_path(problem, systematic_velocity, times)
    for column, wanted in zip(path[1:], expected, strict=True):
        assert np.allclose(column[finite_loss], wanted[finite_loss], rtol=1e-6, atol=1e-8)


def test_systematic_keeps_the_others_and_obeys_A1_for_the_restricted_reference():
    """Right .5, the expert's error .3, the policy's own error .2: log Z over the first two alone."""
    problem = one_prompt([0.5, 0.3, 0.2], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0])
    path = follow(problem, "systematic", [0.0, 2.0, math.inf])
    log_z = math.log((0.5 * math.exp(2.0) + 0.3) / 0.8)
    assert path.sft_loss[1] - path.sft_loss[0] == pytest.approx(log_z - 2.0 * 0.6)
    assert path.reward.tolist() == pytest.approx([0.5, 0.8 * 0.5 * math.exp(2.0) / (0.5 * math.exp(2.0) + 0.3), 0.8])
    assert path.rl_time[2] == math.inf and path.sft_loss[2] == math.inf


def test_systematic_is_the_rl_path_where_the_expert_gives_everything():
    problem = make_problem(np.random.default_rng(5), 3, 5, "continuous", "dense")
    times = np.array([0.0, 0.5, 2.0])
    assert np.allclose(follow(problem, "systematic", times), follow(problem, "natural", times), rtol=1e-9)


# -------------------------------------------------------------------------------------------------- the edges of a path


@pytest.mark.parametrize("name", PATH_MODELS)
def test_every_model_starts_at_the_reference(name):
    problem = make_problem(np.random.default_rng(1), 3, 6, "binary", "dense")
    anchor = make_policy(np.random.default_rng(2), problem)
    path = follow(problem, name, [0.0], kl_coefficient=0.1, anchor=anchor)
    start = 0.0, *figures(problem, problem.reference)[:2], 0.0
    assert [column[0] for column in path[1:]] == pytest.approx(start, rel=1e-12, abs=1e-15)
    assert all(isinstance(column, np.ndarray) and column.shape == (1,) for column in path)
    none = follow(problem, name, [], kl_coefficient=0.1)
    assert [column.shape for column in none] == [(0,)] * 5


@pytest.mark.parametrize("name", PATH_MODELS)
def test_every_model_stands_still_where_the_reward_is_flat(name):
    """Rewards differ between prompts and off the support, not within it; no RL time passes on integrated paths."""
    reference = np.array([[0.3, 0.7, 0.0], [0.5, 0.5, 0.0]])
    problem = finite.FiniteProblem(
        np.array([0.3, 0.7]), reference, reference, np.array([[0.0, 0.0, 9.0], [1.0, 1.0, 9.0]])
    )
    path = follow(problem, name, np.array([1.0, 5.0]), kl_coefficient=0.1)
    assert np.allclose(path.reward, 0.7) and np.allclose(path.kl, 0.0, atol=1e-15)
    exact = {"natural": path.time, "kl_regularised": rl_clock(path.time, 0.1)}
    assert path.rl_time.tolist() == exact.get(name, np.zeros(2)).tolist()


@pytest.mark.parametrize("name", PATH_MODELS)
def test_every_model_ignores_prompts_of_weight_0(name):
    first = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 1.0])
    both = finite.FiniteProblem(
        np.array([1.0, 0.0]), np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([[0.5, 0.5], [0.0, 1.0]]),
        np.array([[0.0, 1.0], [3.0, -3.0]]),
    )  # fmt: skip
    anchors = np.array([[0.5, 0.5], [0.9, 0.1]])
    for anchor in (None, anchors):
        alone = follow(first, name, [1.0, 5.0], kl_coefficient=0.1, anchor=None if anchor is None else anchor[:1])
        together = follow(both, name, [1.0, 5.0], kl_coefficient=0.1, anchor=anchor)
        assert np.allclose(alone, together, rtol=1e-9)


@pytest.mark.parametrize("name", PATH_MODELS)
def test_every_model_carries_tiny_masses(name):
    problem = one_prompt([1 - 1e-200, 1e-200, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 1.0])
    path = follow(problem, name, np.array([1.0, 2.0]), kl_coefficient=0.1)
    assert np.isfinite(path).all() and path.sft_loss[0] == pytest.approx(100 * math.log(10), rel=1e-2)


def test_the_expert_out_of_reach_is_an_infinite_loss():
    problem = one_prompt([0.5, 0.5, 0.0], [0.4, 0.4, 0.2], [0.0, 1.0, 1.0])
    for name in PATH_MODELS:
        assert follow(problem, name, [0.0, 1.0], kl_coefficient=0.1).sft_loss.tolist() == [math.inf, math.inf]


# ------------------------------------------------------------------------------------------------------------- registry


def test_the_registry_is_whole():
    assert list(PATH_MODELS) == ["natural", "softmax", "group_normalised", "kl_regularised", "systematic"]
    for name, model in PATH_MODELS.items():
        assert model.name == name and model.sentence and model.source


def test_options_that_a_model_does_not_take_are_ignored():
    problem = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 1.0])
    plain = follow(problem, "softmax", [1.0])
    assert np.array_equal(plain, follow(problem, "softmax", [1.0], group_size=3, ddof=0, kl_coefficient=0.3))


def test_follow_refuses_what_it_cannot_follow():
    problem = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 1.0])
    for name, times, message in (
        ("naturel", [1.0], "path_model must be one of group_normalised, kl_regularised, natural, softmax, systematic. "
         "Got 'naturel'. Did you mean 'natural'?"),
        ("natural", [1.0, 1.0], r"times must increase and be at least 0. Got \[1.0, 1.0\]. Sort them."),
        ("natural", [2.0, 1.0], "times must increase and be at least 0."),
        ("natural", [-1.0, 1.0], "times must increase and be at least 0."),
        ("natural", [0.0, math.nan], "times must increase and be at least 0."),
        ("softmax", [1.0, math.inf], "times must be finite for a path that is integrated. Got inf."),
        ("group_normalised", math.inf, "times must be finite for a path that is integrated. Got inf."),
        ("kl_regularised", [1.0], "kl_coefficient must be given for kl_regularised. Got None. 0 means no KL term."),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            follow(problem, name, times)
    with pytest.raises(DataError, match="anchor must be positive wherever the reference is. Got zeros there."):
        follow(problem, "kl_regularised", [1.0], kl_coefficient=0.1, anchor=np.array([[1.0, 0.0]]))
    with pytest.raises(DataError, match="kl_coefficient must be at least 0 and finite. Got -1.0."):
        follow(problem, "kl_regularised", [1.0], kl_coefficient=-1.0)
    with pytest.raises(DataError, match="group_size must be a whole number of at least 1, or inf. Got 0."):
        follow(problem, "group_normalised", [1.0], group_size=0)
    graded = one_prompt([0.8, 0.2], [0.5, 0.5], [0.0, 0.5])
    with pytest.raises(DataError, match=r"reward must be 0 or 1 on the policy's responses \(D4\)"):
        follow(graded, "group_normalised", [1.0])


@pytest.mark.slow
def test_softmax_on_4096_prompts_of_64_responses_gains_reward_all_the_way():
    rng = np.random.default_rng(0)
    reference, expert = (normalised(rng.gamma(0.7, size=(4096, 64)).clip(1e-9)) for _ in range(2))
    problem = finite.FiniteProblem(np.full(4096, 1 / 4096), reference, expert, rng.normal(size=(4096, 64)))
    path = follow(problem, "softmax", np.linspace(0.0, 20.0 * 4096, 20))
    assert (np.diff(path.reward) > 0).all() and (np.diff(path.rl_time) > 0).all()
    few = finite.FiniteProblem(np.full(2, 0.5), reference[:2], expert[:2], problem.reward[:2])
    apart = [one_prompt(reference[x], expert[x], problem.reward[x]) for x in range(2)]
    ends = [follow(prompt, "softmax", 20.0).reward[0] for prompt in apart]  # each prompt runs by its own weight
    assert follow(few, "softmax", 40.0).reward[0] == pytest.approx(np.mean(ends), rel=1e-9)


def test_A4_and_D5_the_followed_rl_time_is_dr_over_v():
    """C7's integral along a followed natural path, the trapezoid's own test of `rl_time`."""
    problem = make_problem(np.random.default_rng(7), 2, 5, "continuous", "dense")
    path = follow(problem, "natural", np.linspace(0.0, 2.0, 401))
    variances = distributional.tilted_reward_variance(problem, path.time)
    assert np.allclose(paths.rl_time_from_rewards(path.reward, variances), path.rl_time, atol=1e-4)
