"""B1 to B4 against gradient flow, gradient steps and single updates on quadratics and non-convex PL landscapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize

from interlace.errors import DataError
from interlace.theory import landscape as B
from interlace.theory.laws import LAWS

from .landscapes import VALLEY, WAVY, cosine, flow, pl_landscapes, quadratic, rotated, steps

seeds = st.integers(0, 2**32 - 1)


# ------------------------------------------------------------------------------------------------------------------ B1


@given(pl_landscapes(), st.floats(0.01, 5.0))
def test_B1_gradient_flow_keeps_within_the_bounds(case, time):
    landscape, start = case
    end, length = flow(landscape.gradient, start, time)
    before, left = landscape.value(start), landscape.value(end)
    assert left <= B.reward_gap(before, landscape.pl_constant, time) * (1 + 1e-8) + 1e-12
    assert length <= B.path_length_bound(before, min(left, before), landscape.pl_constant) + 1e-6
    assert length <= B.path_length(before, landscape.pl_constant, math.inf) + 1e-6
    assert length <= B.path_length_bound(before, 0.0, landscape.pl_constant) + 1e-6


@given(st.floats(0.1, 5.0), st.integers(1, 3), seeds, st.floats(0.0, 4.0))
def test_B1_a_round_quadratic_attains_them(curvature, dimension, seed, time):
    start = np.random.default_rng(seed).normal(size=dimension)
    bowl = quadratic(curvature * np.eye(dimension))
    end, length = flow(bowl.gradient, start, time)
    gap, left = bowl.value(start), bowl.value(end)
    assert B.reward_gap(gap, curvature, time) == pytest.approx(left, rel=1e-6, abs=1e-12)
    assert B.path_length(gap, curvature, time) == pytest.approx(length, rel=1e-6, abs=1e-9)
    assert B.path_length_bound(gap, min(left, gap), curvature) == pytest.approx(length, rel=1e-6, abs=1e-6)


def test_B1_the_path_length_of_tight_pl_is_no_bound_on_a_steeper_path():
    """mu = 1, curvature 4, gap 1, t = 0.1: the path is .233 long, sqrt(2 gap/mu)(1 - e^{-mu t}) is .135."""
    start = np.array([math.sqrt(0.5)])
    end, length = flow(quadratic(np.array([[4.0]])).gradient, start, 0.1)
    assert length == pytest.approx(math.sqrt(0.5) * -math.expm1(-0.4), rel=1e-6)
    assert length > 1.7 * B.path_length(1.0, 1.0, 0.1)
    assert length <= B.path_length_bound(1.0, 2.0 * float(end @ end), 1.0)
    assert length > B.path_length_bound(1.0, B.reward_gap(1.0, 1.0, 0.1), 1.0)
    assert B.path_length_bound(1.0, B.reward_gap(1.0, 1.0, 0.1), 1.0) == pytest.approx(B.path_length(1.0, 1.0, 0.1))


@given(pl_landscapes(smooth=True), st.floats(0.05, 1.0), st.integers(0, 40))
def test_B1_gradient_steps_keep_within_the_bounds(case, fraction, num_steps):
    landscape, start = case
    mu, smoothness = landscape.pl_constant, landscape.smoothness
    step_size = fraction / smoothness
    end, length = steps(landscape.gradient, start, step_size, num_steps)
    before, left = landscape.value(start), max(0.0, landscape.value(end))
    assert left <= B.reward_gap_after_steps(before, mu, smoothness, step_size, num_steps) * (1 + 1e-9) + 1e-12
    bound = B.path_length_bound_of_steps(before, min(left, before), mu, smoothness, step_size)
    assert length <= bound + 1e-6
    flow_bound = B.path_length_bound(before, min(left, before), mu)
    assert flow_bound <= bound <= 2.0 * flow_bound + 1e-12


def test_B1_one_step_of_a_round_quadratic_attains_zero():
    assert B.reward_gap_after_steps(3.0, 2.0, 2.0, 0.5, 1) == 0.0
    assert B.reward_gap_after_steps(3.0, 2.0, 2.0, 0.5, 0) == 3.0
    assert B.reward_gap_after_steps(3.0, 1.0, 2.0, 0.25, 2) == pytest.approx(3.0 * 0.75**2, rel=1e-12)


def test_B1_steps_can_be_longer_than_a_flow_of_the_same_fall():
    """x^2 + 3 sin^2 x at x = 3.285, one step of 1/8, mu as measured there: 1.64 x the flow's bound, within 2 x."""
    start = np.array([3.284985])
    gap, slope = WAVY.value(start), WAVY.gradient(start)
    mu = float(slope @ slope) / (2.0 * gap)
    end, length = steps(WAVY.gradient, start, 0.125, 1)
    left = WAVY.value(end)
    assert length > 1.6 * B.path_length_bound(gap, left, mu)
    assert length <= B.path_length_bound_of_steps(gap, left, mu, 8.0, 0.125)


def test_B1_fails_for_steps_that_are_too_long():
    end, _ = steps(quadratic(np.diag([1.0, 4.0])).gradient, [1.0, 1.0], 0.6, 20)
    assert quadratic(np.diag([1.0, 4.0])).value(end) > 2.5
    with pytest.raises(DataError, match="step_size must be at most 1/smoothness. Got 0.6. Take smaller steps."):
        B.reward_gap_after_steps(2.5, 1.0, 4.0, 0.6, 20)
    with pytest.raises(DataError, match="step_size must be at most 1/smoothness"):
        B.path_length_bound_of_steps(2.5, 1.0, 1.0, 4.0, 0.6)


def test_B1_fails_where_pl_is_extrapolated_to_the_optimum_of_a_softmax_policy():
    """R = pass rate p of two responses, plain policy gradient: mu = p^2 (1 - p), which goes to 0 with the gap."""

    def gradient(logits):  # of 1 - p
        p = 1.0 / (1.0 + math.exp(logits[1] - logits[0]))
        return p * (1.0 - p) * np.array([-1.0, 1.0])

    start = np.array([math.log(9.0), 0.0])  # p = 0.9
    mu = float(gradient(start) @ gradient(start)) / (2.0 * 0.1)
    assert mu == pytest.approx(0.9**2 * 0.1)
    end, _ = flow(gradient, start, 100.0)
    assert 1.0 / (1.0 + math.exp(end[0] - end[1])) > 1000 * B.reward_gap(0.1, mu, 100.0)
    for p in (0.99, 0.999, 0.9999):
        slope = gradient(np.array([math.log(p / (1.0 - p)), 0.0]))
        assert np.linalg.norm(slope) / (1.0 - p) == pytest.approx(math.sqrt(2.0), rel=0.02)
        assert float(slope @ slope) / (2.0 * (1.0 - p)) == pytest.approx(p**2 * (1.0 - p))


def test_B1_ends_of_the_path():
    assert B.reward_gap(0.0, 1.0, 2.0) == 0.0 == B.path_length(0.0, 1.0, 2.0)
    assert B.reward_gap(2.0, 1.0, math.inf) == 0.0 and B.reward_gap(2.0, 1.0, 0.0) == 2.0
    assert B.path_length(2.0, 1.0, math.inf) == 2.0 and B.path_length(2.0, 1.0, 0.0) == 0.0
    assert B.path_length(2.0, 1.0, 1e-15) == pytest.approx(2e-15, rel=1e-9)
    assert B.path_length_bound(2.0, 2.0, 1.0) == 0.0


# ------------------------------------------------------------------------------------------------------------------ B2


@given(seeds, st.integers(1, 5))
def test_B2_bounds_the_change_of_any_quadratic(seed, dimension):
    rng = np.random.default_rng(seed)
    landscape = quadratic(rotated(rng, rng.normal(size=dimension)), rng.normal(size=dimension))
    start, update = rng.normal(size=(2, dimension))
    change = landscape.value(start + update) - landscape.value(start)
    bounds = B.loss_change_bounds(
        float(landscape.gradient(start) @ update), landscape.smoothness, float(np.linalg.norm(update))
    )
    assert bounds.lower - 1e-9 <= change <= bounds.upper + 1e-9


@given(st.floats(-9.0, 9.0), st.floats(-4.0, 4.0))
def test_B2_bounds_the_change_of_a_non_convex_loss(x, update):
    start, moved = np.array([x]), np.array([x + update])
    change = WAVY.value(moved) - WAVY.value(start)
    bounds = B.loss_change_bounds(float(WAVY.gradient(start)[0] * update), 8.0, abs(update))
    assert bounds.lower - 1e-9 <= change <= bounds.upper + 1e-9


@pytest.mark.parametrize(("curvature", "side"), [(3.0, "upper"), (-3.0, "lower")])
def test_B2_is_attained_by_quadratics_of_extreme_curvature(curvature, side):
    line = quadratic(np.array([[curvature]]))
    change = line.value(np.array([0.2])) - line.value(np.array([0.7]))
    bounds = B.loss_change_bounds(float(line.gradient(np.array([0.7]))[0] * -0.5), 3.0, 0.5)
    assert getattr(bounds, side) == pytest.approx(change, rel=1e-12)


def test_B2_fails_where_the_loss_is_not_that_smooth_or_the_update_is_another():
    """Smoothness at the start alone (x^4: 0 at 0), and the bare gradient step where Adam really moved by 1."""
    assert B.loss_change_bounds(0.0, 0.0, 0.5).upper < 0.5**4
    bowl = quadratic(np.array([[1.0]]))
    gradient = bowl.gradient(np.array([0.01]))
    bare = -0.1 * gradient
    bounds = B.loss_change_bounds(float(gradient @ bare), 1.0, float(np.linalg.norm(bare)))
    assert bowl.value(np.array([0.01 - 1.0])) - bowl.value(np.array([0.01])) > bounds.upper


# ------------------------------------------------------------------------------------------------------------------ B3


def judged(landscape, start, update, smoothness, curvature=None):
    gradient = landscape.gradient(start)
    figures = cosine(-gradient, update), float(np.linalg.norm(gradient)), smoothness, float(np.linalg.norm(update))
    change = landscape.value(start + update) - landscape.value(start)
    return change, B.update_lowers_loss(*figures), B.update_raises_loss(*figures, curvature=curvature)


@given(seeds, st.integers(1, 4), st.floats(1e-3, 3.0))
def test_B3_what_is_certain_happens(seed, dimension, length):
    rng = np.random.default_rng(seed)
    landscape = quadratic(rotated(rng, rng.normal(size=dimension)), rng.normal(size=dimension))
    start, update = rng.normal(size=(2, dimension))
    update *= length / np.linalg.norm(update)
    along = float(update @ landscape.hessian(start) @ update) / length**2
    change, falls, rises = judged(landscape, start, update, landscape.smoothness)
    assert not (falls and rises) and (not falls or change < 0.0) and (not rises or change > 0.0)
    _, _, knows = judged(landscape, start, update, landscape.smoothness, curvature=along - 1e-9)
    assert knows >= rises and (not knows or change > 0.0)
    if change > 1e-6:  # on a quadratic the curvature along the step decides
        assert knows


@given(st.floats(-7.0, 7.0), st.floats(-2.0, 2.0))
def test_B3_what_is_certain_happens_on_a_non_convex_loss(x, update):
    assume(abs(update) > 1e-6 and np.linalg.norm(WAVY.gradient(np.array([x]))) > 1e-9)
    change, falls, rises = judged(WAVY, np.array([x]), np.array([update]), 8.0)
    assert not (falls and rises) and (not falls or change < 0.0) and (not rises or change > 0.0)
    least = min(2 + 6 * math.cos(2 * (x + update * t)) for t in np.linspace(0.0, 1.0, 400)) - 1e-2
    _, _, knows = judged(WAVY, np.array([x]), np.array([update]), 8.0, curvature=least)
    assert not knows or change > 0.0


def test_B3_an_update_that_points_down_can_be_sure_to_raise_the_loss():
    change, falls, rises = judged(quadratic(np.eye(1)), np.array([0.1]), np.array([-1.0]), 1.0, curvature=1.0)
    assert change > 0.0 and rises and not falls


def test_B3_at_the_boundary_nothing_is_certain():
    """Curvature l and c g = l D/2: the change is 0. Curvature -l and c g = -l D/2: 0 too."""
    bowl, ridge = quadratic(2.0 * np.eye(1)), quadratic(-2.0 * np.eye(1))
    assert judged(bowl, np.array([0.5]), np.array([-1.0]), 2.0) == (0.0, False, False)
    assert judged(ridge, np.array([0.5]), np.array([-1.0]), 2.0) == (0.0, False, False)
    assert judged(bowl, np.array([0.5]), np.array([-0.999]), 2.0)[1]
    assert judged(ridge, np.array([0.5]), np.array([-0.999]), 2.0)[2]


def test_B3_an_update_of_norm_zero_does_nothing():
    assert not B.update_lowers_loss(1.0, 1.0, 1.0, 0.0)
    assert not B.update_raises_loss(-1.0, 1.0, 1.0, 0.0)
    assert not B.update_raises_loss(0.5, 0.1, 1.0, 0.0, curvature=3.0)


@given(st.floats(-7.0, 7.0), st.floats(0.01, 1.0))
def test_B3_above_the_threshold_the_update_lowers_the_loss(x, length):
    start = np.array([x])
    gap = WAVY.value(start)
    assume(gap > 1e-9)
    update = -length * np.sign(WAVY.gradient(start))
    if gap > B.suboptimality_threshold(8.0, length, WAVY.pl_constant, 1.0):
        assert judged(WAVY, start, update, 8.0)[:2][1] and WAVY.value(start + update) < gap


@given(seeds, st.floats(0.01, 1.0))
def test_B3_above_the_threshold_at_any_alignment(seed, length):
    rng = np.random.default_rng(seed)
    bowl = quadratic(rotated(rng, rng.uniform(0.3, 2.0, 3)))
    start, update = 3.0 * rng.normal(size=3), rng.normal(size=3)
    update *= length / np.linalg.norm(update)
    alignment = cosine(-bowl.gradient(start), update)
    threshold = B.suboptimality_threshold(bowl.smoothness, length, bowl.pl_constant, alignment)
    assert math.isinf(threshold) == (alignment <= 0.0)
    if bowl.value(start) > threshold:
        assert bowl.value(start + update) < bowl.value(start)


def test_B3_the_threshold_is_sharp_and_falls_with_the_square_of_the_step():
    """A parabola of curvature 2 at height l D^2/8: the step only crosses to the other side."""
    bowl = quadratic(2.0 * np.eye(1))
    threshold = B.suboptimality_threshold(2.0, 1.0, 2.0, 1.0)
    assert threshold == pytest.approx(bowl.value(np.array([0.5])), rel=1e-12)
    assert bowl.value(np.array([0.5 - 1.0])) == bowl.value(np.array([0.5]))
    assert B.suboptimality_threshold(2.0, 0.5, 2.0, 1.0) == pytest.approx(threshold / 4.0, rel=1e-12)
    assert bowl.value(np.array([0.5 - 0.5])) < bowl.value(np.array([0.5]))  # a shorter step from there still lowers


def test_B3_the_threshold_says_nothing_without_pl_or_downhill():
    """A saddle, far above its infimum with almost no slope: the update points down and the loss rises."""
    saddle = quadratic(np.diag([1.0, -1.0]), np.array([0.0, 0.0]))
    start, update = np.array([0.01, 0.0]), np.array([-1.0, 0.0])
    assert cosine(-saddle.gradient(start), update) == 1.0 and saddle.value(start + update) > saddle.value(start)
    assert B.suboptimality_threshold(1.0, 0.5, 1.0, 0.0) == math.inf
    assert B.suboptimality_threshold(1.0, 0.0, 1.0, -0.5) == math.inf
    assert B.suboptimality_threshold(1.0, 0.0, 1.0, 0.5) == 0.0
    assert B.suboptimality_threshold(1.0, 1.0, 1.0, 1e-200) == math.inf


# ------------------------------------------------------------------------------------------------------------------ B4


def distance_to_minima(landscape, start):
    """By brute force: along the curve of minima, or by the pseudo-inverse of a quadratic."""
    if landscape is WAVY:
        return abs(float(start[0]))
    if landscape is VALLEY:
        points = np.linspace(start[0] - 6.0, start[0] + 6.0, 4001)
        apart = (points - start[0]) ** 2 + (np.sin(points) - start[1]) ** 2
        near = points[apart.argmin()]
        refined = optimize.minimize_scalar(
            lambda x: (x - start[0]) ** 2 + (math.sin(x) - start[1]) ** 2, bounds=(near - 0.01, near + 0.01),
            method="bounded", options={"xatol": 1e-12})  # fmt: skip
        return math.sqrt(refined.fun)
    hessian = landscape.hessian(start)
    return float(np.linalg.norm(np.linalg.pinv(hessian, rcond=1e-9) @ hessian @ start))


@given(pl_landscapes())
def test_B4_the_loss_grows_with_the_square_of_the_distance(case):
    landscape, start = case
    distance = distance_to_minima(landscape, start)
    smoothness = landscape.smoothness if landscape is not VALLEY else 2.0 + 4.0  # 4: the greatest height up to there
    bounds = B.growth_bounds(landscape.pl_constant, smoothness, distance)
    assert bounds.lower - 1e-9 <= landscape.value(start) <= bounds.upper + 1e-9


@given(st.floats(0.1, 5.0), st.floats(0.0, 5.0))
def test_B4_a_round_quadratic_attains_both(curvature, distance):
    bounds = B.growth_bounds(curvature, curvature, distance)
    value = quadratic(curvature * np.eye(2)).value(distance * np.array([0.6, -0.8]))
    assert bounds == pytest.approx((value, value), rel=1e-12)


def test_B4_moving_along_the_minima_costs_nothing():
    """So the distance to the minimum that one started from is no distance."""
    along = np.array([2.0, math.sin(2.0)])
    assert VALLEY.value(along) == 0.0 < B.growth_bounds(1.0, 2.0, float(np.linalg.norm(along))).lower
    assert distance_to_minima(VALLEY, along) == pytest.approx(0.0, abs=1e-7)


def test_B4_fails_if_pl_holds_on_the_rl_path_only():
    """x^2/200 + (1 - cos 20x)/1000: mu = .073 at x = 1.02, none on the way down to 0, where the ripples have minima."""
    x = 1.021
    value = 0.005 * x**2 + 0.001 * (1.0 - math.cos(20.0 * x))
    slope = 0.01 * x + 0.02 * math.sin(20.0 * x)
    mu = slope**2 / (2.0 * value)
    assert mu > 0.07 and value < 0.2 * B.growth_bounds(mu, 10.0, x).lower


def test_B4_fails_above_if_the_segment_is_not_that_smooth():
    """abs(x): curvature 0 at the start, a kink at the minimum."""
    assert B.growth_bounds(0.1, 0.5, 1.0).upper < abs(1.0)


# ----------------------------------------------------------------------------------------------- arguments and answers


def test_a_figure_gives_a_figure_and_arrays_broadcast():
    gaps, times = np.array([0.0, 0.5, 2.0]), np.array([[0.1], [math.inf]])
    assert type(B.reward_gap(1, 1, 2)) is float
    assert B.reward_gap(gaps, 0.5, times).shape == (2, 3) == B.path_length(gaps, np.full(3, 0.5), times).shape
    for i, gap in enumerate(gaps):
        assert B.reward_gap(gaps, 0.5, times)[0, i] == B.reward_gap(float(gap), 0.5, 0.1)
    assert B.reward_gap_after_steps(gaps, 0.5, 1.0, 0.5, np.array([[1.0], [3.0]])).shape == (2, 3)
    assert B.loss_change_bounds(gaps, 1.0, 0.5).lower.tolist() == [-0.125, 0.375, 1.875]
    assert B.update_lowers_loss(np.array([0.5, -0.5]), 1.0, 1.0, 0.5).tolist() == [True, False]
    assert B.update_raises_loss(np.array([0.5, -0.5]), 1.0, 1.0, 0.5).tolist() == [False, True]
    assert type(B.update_lowers_loss(0.5, 1.0, 1.0, 0.5)) is bool is type(B.update_raises_loss(0.5, 1.0, 1.0, 0.5))
    assert B.suboptimality_threshold(1.0, 1.0, 0.5, np.array([0.5, 0.0])).tolist() == [1.0, math.inf]
    assert B.growth_bounds(0.5, 2.0, gaps).upper.tolist() == [0.0, 0.25, 4.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: B.reward_gap(-0.1, 1.0, 1.0),
         "gap must be finite and at least 0. Got -0.1. Take an optimum at least as good as every figure seen."),
        (lambda: B.reward_gap(np.array([1.0, math.nan]), 1.0, 1.0), "gap must be finite and at least 0. Got nan. "),
        (lambda: B.reward_gap(1.0, 0.0, 1.0),
         "pl_constant must be positive. Got 0.0. Measure it on the path, away from the optimum; without one B says"),
        (lambda: B.path_length(1.0, 1.0, -1.0),
         "time must be at least 0. Got -1.0. Give gradient-flow time: step size x steps."),
        (lambda: B.path_length_bound(1.0, 2.0, 1.0),
         "gap_left must be at most gap. Got 2.0. Give the gap where the path ends."),
        (lambda: B.path_length_bound(1.0, -1.0, 1.0), "gap_left must be finite and at least 0. Got -1.0. "),
        (lambda: B.reward_gap_after_steps(1.0, 1.0, 1.0, 0.5, -1), "num_steps must be at least 0. Got -1. Count the"),
        (lambda: B.reward_gap_after_steps(1.0, 1.0, 1.0, -0.5, 1), "step_size must be at least 0. Got -0.5. Give the"),
        (lambda: B.loss_change_bounds(math.inf, 1.0, 1.0), "inner_product must be finite. Got inf. Give the inner"),
        (lambda: B.loss_change_bounds(0.0, -1.0, 1.0),
         "smoothness must be finite and at least 0. Got -1.0. Measure the largest curvature on the path."),
        (lambda: B.update_lowers_loss(1.1, 1.0, 1.0, 1.0),
         "alignment must be a cosine. Got 1.1. Give the cosine between the ascent or descent direction and the update"),
        (lambda: B.update_lowers_loss(1.0, -1.0, 1.0, 1.0), "gradient_norm must be finite and at least 0. Got -1.0. "),
        (lambda: B.update_raises_loss(1.0, 1.0, 1.0, -1.0), "update_norm must be finite and at least 0. Got -1.0. "),
        (lambda: B.update_raises_loss(1.0, 1.0, 1.0, 1.0, curvature=math.nan), "curvature must be finite. Got nan. "),
        (lambda: B.growth_bounds(1.0, 1.0, -1.0), "distance must be finite and at least 0. Got -1.0. Give the"),
    ],
)  # fmt: skip
def test_arguments_that_break_their_rule_are_refused(call, message):
    with pytest.raises(DataError) as refusal:
        call()
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("label", "inputs", "expected"),
    [
        ("B1", {"step_size": 0.5, "smoothness": 2.0}, [None, True]),
        ("B1", {"step_size": 0.6, "smoothness": 2.0}, [None, False]),
        ("B3", {"alignment": 0.1}, [None, None, True]),
        ("B3", {"alignment": -0.1}, [None, None, False]),
        ("B4", {"pl_constant": 0.1, "smoothness": 2.0}, [None, None, True]),
        ("B4", {"pl_constant": 3.0, "smoothness": 2.0}, [None, None, False]),
        ("B4", {}, [None, None, None]),
    ],
)
def test_conditions_are_decided_where_constants_decide_them(label, inputs, expected):
    assert [condition.check(inputs) for condition in LAWS[label].conditions] == expected
