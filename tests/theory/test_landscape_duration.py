"""B5 and B6 against brute force, high-precision decimals, and gradient flow on landscapes that meet the model."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.errors import DataError
from interlace.theory import landscape as B

from .landscapes import VALLEY, cosine, flow, quadratic, rotated

seeds = st.integers(0, 2**32 - 1)
GRID = np.linspace(0.0, 1.0, 4001)


@st.composite
def paths(draw, gaps=(0.0, 1.0)):
    """The model's figures, in the order of the functions after `gap`, `pl_constant`, `exchange_rate`; all regimes."""
    figure = st.floats(0.01, 10.0)
    return {
        "gap": draw(st.sampled_from(gaps)) * draw(figure),
        "pl_constant": draw(figure),
        "exchange_rate": draw(st.sampled_from([0.0, 1e-9, 1.0, 1e6])) * draw(figure),
        "alignment": draw(st.sampled_from([-1.0, 0.0, 1.0])) * draw(st.floats(1e-6, 1.0)),
        "gradient_norm": draw(st.sampled_from([0.0, 1.0])) * draw(figure),
        "curvature": draw(st.sampled_from([-1e6, -1.0, -1e-6, 0.0, 1e-6, 1.0, 1e6])) * draw(figure),
    }


def phi(progress, gap, pl_constant, exchange_rate, alignment, gradient_norm, curvature):
    """theory's formula as it reads, term by term."""
    length = math.sqrt(2.0 * gap / pl_constant)
    slope = alignment * gradient_norm * length
    lost = 0.5 * curvature * length**2
    return gap * (2 * progress - progress**2) + exchange_rate * (slope * progress - lost * progress**2)


def loss_change(progress, path):
    return -(phi(progress, **path | {"exchange_rate": 1.0}) - phi(progress, **path | {"exchange_rate": 0.0}))


def without(path, *names):
    return {name: value for name, value in path.items() if name not in names}


# ------------------------------------------------------------------------------------------------- B5: the closed forms


@given(paths(gaps=(1.0,)), st.floats(0.0, 1.0))
def test_B5_tradeoff_on_the_path(path, progress):
    value = B.tradeoff_on_path(progress, **path)
    size = path["gap"] + path["exchange_rate"] * (
        path["gradient_norm"] * 100 + abs(path["curvature"]) * path["gap"] / path["pl_constant"]
    )
    assert value == pytest.approx(phi(progress, **path), rel=1e-9, abs=1e-13 * size)


@given(paths())
def test_B5_no_other_progress_is_better(path):
    best = B.optimal_duration(**path)
    values = phi(GRID, **path)
    assert 0.0 <= best.progress <= 1.0 and best.value >= 0.0
    assert best.value >= values.max() - 1e-12 * np.abs(values).max()
    assert best.value == pytest.approx(
        B.tradeoff_on_path(best.progress, **path), rel=1e-9, abs=1e-11 * np.abs(values).max()
    )
    if best.progress < 0.99:
        assert best.time == pytest.approx(-math.log1p(-best.progress) / path["pl_constant"], rel=1e-9)


@given(paths(gaps=(1.0,)))
def test_B5_the_slope_is_zero_inside_and_the_bend_negative(path):
    best = B.optimal_duration(**path)
    if 1e-3 < best.progress < 0.999:
        step = 1e-4
        before, here, after = phi(best.progress + step * np.array([-1.0, 0.0, 1.0]), **path)
        size = np.abs(phi(GRID, **path)).max()
        assert abs(after - before) / (2 * step) < 1e-7 * max(size, 1.0) and after - 2 * here + before <= 1e-12 * size


@given(paths(gaps=(1.0,)))
def test_B5_time_keeps_its_digits(path):
    """In sixty decimals: -log(1 - a/b)/mu, also where u* rounds to 1."""
    best = B.optimal_duration(**path)
    with localcontext() as context:
        context.prec = 60
        exact = {name: Decimal(value) for name, value in path.items()}
        length = (2 * exact["gap"] / exact["pl_constant"]).sqrt()
        pull = exact["exchange_rate"] * exact["alignment"] * exact["gradient_norm"] * length
        bend = exact["exchange_rate"] * exact["curvature"] * length**2
        top, bottom = 2 * exact["gap"] + pull, 2 * exact["gap"] + bend
        if not 0 < top < bottom:
            assert best.progress in (0.0, 1.0)
            assert best.time == (math.inf if best.progress == 1.0 else 0.0)
            return
        time = float(-(1 - top / bottom).ln() / exact["pl_constant"])
        lost_digits = float((abs(bend) + abs(pull)) / (bottom - top) + (2 * exact["gap"] + abs(pull)) / top)
    assert best.time == pytest.approx(time, rel=1e-14 * (1.0 + lost_digits))


@given(st.floats(0.01, 10.0), st.floats(0.01, 10.0), st.floats(1e-9, 1e9), st.floats(1e-12, 1e12))
def test_B5_at_an_sft_optimum(gap, pl_constant, exchange_rate, curvature):
    best = B.optimal_duration_at_optimum(gap, pl_constant, exchange_rate, curvature)
    strength = exchange_rate * curvature / pl_constant
    assert best.time == pytest.approx(math.log1p(1.0 / strength) / pl_constant, rel=1e-12)
    assert best.value == pytest.approx(gap / (1.0 + strength), rel=1e-12)
    assert best.progress == pytest.approx(1.0 / (1.0 + strength), rel=1e-12)
    assert best == pytest.approx(B.optimal_duration(gap, pl_constant, exchange_rate, 0.7, 0.0, curvature))
    other = B.optimal_duration_at_optimum(3.0 * gap, pl_constant, exchange_rate, curvature)
    assert other.time == pytest.approx(best.time, rel=1e-12)
    assert other.value == pytest.approx(3.0 * best.value, rel=1e-12)


def test_B5_at_the_edges():
    assert B.optimal_duration(0.0, 1.0, 1.0, 0.5, 1.0, 1.0) == (0.0, 0.0, 0.0)
    assert B.optimal_duration(2.0, 1.0, 0.0, -1.0, 9.0, 9.0) == (1.0, math.inf, 2.0)  # SFT loss is worth nothing
    assert B.optimal_duration_at_optimum(2.0, 1.0, 1.0, 0.0) == (1.0, math.inf, 2.0)  # it costs nothing
    assert B.optimal_duration_at_optimum(2.0, 1.0, 1.0, -0.5) == (1.0, math.inf, 3.0)
    assert B.optimal_duration(2.0, 1.0, 1.0, -1.0, 9.0, 1.0) == (0.0, 0.0, 0.0)  # it rises too fast at once
    assert B.optimal_duration(2.0, 1.0, 1.0, -1.0, 4.0, -3.0) == (0.0, 0.0, 0.0)  # convex, and the ends tie: 2+2(3)-8
    assert B.optimal_duration(2.0, 1.0, 1.0, -1.0, 3.9, -3.0)[:2] == (1.0, math.inf)
    tiny = B.optimal_duration_at_optimum(2.0, 1.0, 1e-20, 1.0)
    assert tiny.progress == 1.0 and tiny.time == pytest.approx(math.log(1e20), rel=1e-12)
    huge = B.optimal_duration(2.0, 1.0, 1e200, 1.0, 1.0, 2.0)
    assert huge.progress == pytest.approx(B.least_loss_progress(2.0, 1.0, 1.0, 1.0, 2.0)) == 0.25


@given(paths(), st.floats(0.0, 5.0))
def test_B5_bounds_on_the_curvature_bracket_the_time(path, width):
    curvature = path["curvature"] + width * np.array([-1.0, 0.0, 1.0])
    times = B.optimal_duration(**path | {"curvature": curvature}).time
    assert times[0] >= times[1] * (1 - 1e-12) and times[1] >= times[2] * (1 - 1e-12)


@given(paths(gaps=(1.0,)))
def test_B5_sft_loss_is_least_at_u_min(path):
    least = B.least_loss_progress(**without(path, "exchange_rate"))
    changes = loss_change(GRID, path)
    size = np.abs(changes).max()
    assert loss_change(least, path) <= changes.min() + 1e-12 * size
    if path["curvature"] > 0.0:
        length = math.sqrt(2.0 * path["gap"] / path["pl_constant"])
        expected = path["alignment"] * path["gradient_norm"] / (path["curvature"] * length)
        assert least == pytest.approx(min(1.0, max(0.0, expected)), rel=1e-9)
    else:
        assert least in (0.0, 1.0)


@given(paths(gaps=(1.0,)))
def test_B5_sft_loss_is_back_at_its_start_at_u_dag(path):
    back = B.break_even_progress(**without(path, "exchange_rate"))
    changes = loss_change(GRID[1:], path)
    if math.isinf(back):
        assert (changes >= 0.0).all() or (changes <= 0.0).all()
        return
    size = abs(path["alignment"]) * path["gradient_norm"] * math.sqrt(2.0 * path["gap"] / path["pl_constant"])
    assert 0.0 < back <= 1.0 and loss_change(back, path) == pytest.approx(0.0, abs=1e-12 * size * back)
    sign = math.copysign(1.0, path["curvature"])
    assert sign * loss_change(0.5 * back, path) < 0.0 < sign * loss_change(2.0 * back, path)


def test_B5_loss_on_the_path_at_its_edges():
    assert B.least_loss_progress(0.0, 1.0, 1.0, 1.0, 1.0) == 0.0
    assert B.break_even_progress(0.0, 1.0, 1.0, 1.0, 1.0) == math.inf
    assert B.least_loss_progress(2.0, 1.0, 0.0, 1.0, 0.0) == 0.0 and B.least_loss_progress(2.0, 1.0, 0.1, 1.0, 0.0) == 1
    assert B.least_loss_progress(2.0, 1.0, -0.5, 1.0, -1.0) == 1.0  # it rises, then falls below its start: -2(.5) < -2
    assert B.break_even_progress(2.0, 1.0, -0.5, 1.0, -1.0) == 0.5
    assert B.break_even_progress(2.0, 1.0, 1.0, 1.0, 1.0) == 1.0  # just back at the end
    assert B.break_even_progress(2.0, 1.0, 1.0, 1.0, 0.9) == math.inf
    assert B.break_even_progress(2.0, 1.0, -1.0, 1.0, 1.0) == math.inf == B.break_even_progress(2.0, 1.0, 1.0, 1.0, 0.0)


# ----------------------------------------------------------------------------------------- B5: where the model holds


def round_reward(rng, dimension):
    """A reward gap with tight PL: -R is a round quadratic; its optimum is where it points."""
    pl_constant, centre = rng.uniform(0.3, 2.0), rng.normal(size=dimension)
    return quadratic(pl_constant * np.eye(dimension), centre), pl_constant


@given(seeds, st.integers(1, 4), st.floats(0.0, 3.0), st.floats(0.01, 10.0))
def test_B5_is_gradient_flow_where_the_model_holds(seed, dimension, time, exchange_rate):
    rng = np.random.default_rng(seed)
    reward_gap, pl_constant = round_reward(rng, dimension)
    loss = quadratic(rotated(rng, rng.normal(size=dimension)), rng.normal(size=dimension))
    start = rng.normal(size=dimension)
    end, _ = flow(reward_gap.gradient, start, time)
    gain = reward_gap.value(start) - reward_gap.value(end) - exchange_rate * (loss.value(end) - loss.value(start))
    path = measured(loss, start, -reward_gap.gradient(start), sign=-1.0)
    progress = -math.expm1(-pl_constant * time)
    assert B.tradeoff_on_path(progress, reward_gap.value(start), pl_constant, exchange_rate, *path) == pytest.approx(
        gain, rel=1e-6, abs=1e-6
    )


@given(seeds, st.floats(0.05, 10.0))
def test_B5_no_other_time_of_the_flow_is_better(seed, exchange_rate):
    rng = np.random.default_rng(seed)
    reward_gap, pl_constant = round_reward(rng, 3)
    loss = quadratic(rotated(rng, rng.normal(size=3)), rng.normal(size=3))
    start = rng.normal(size=3)
    figures = measured(loss, start, -reward_gap.gradient(start), sign=-1.0)
    best = B.optimal_duration(reward_gap.value(start), pl_constant, exchange_rate, *figures)
    centre = start - reward_gap.gradient(start) / pl_constant
    gains = []
    for time in (*np.linspace(0.0, 12.0, 300), min(best.time, 40.0)):
        point = centre + math.exp(-pl_constant * time) * (start - centre)
        gain = (
            reward_gap.value(start) - reward_gap.value(point) - exchange_rate * (loss.value(point) - loss.value(start))
        )
        gains.append(gain)
    assert max(gains[:-1]) <= best.value + 1e-9
    assert gains[-1] == pytest.approx(best.value, rel=1e-4, abs=1e-4)


def measured(objective, start, direction, sign):
    """(cos(sign x gradient, direction), gradient's norm, -sign x curvature along it), as an instrument reads them."""
    gradient, unit = objective.gradient(start), direction / np.linalg.norm(direction)
    curvature = -sign * float(unit @ objective.hessian(start) @ unit)
    return cosine(sign * gradient, direction), float(np.linalg.norm(gradient)), curvature


def test_B5_the_curvature_at_an_optimum_can_be_zero_under_pl():
    """(y - sin x)^2/2 has PL constant 1, and at (0, 0) no curvature along (1, 1): RL that way may go on for ever."""
    along = np.array([1.0, 1.0]) / math.sqrt(2.0)
    curvature = float(along @ VALLEY.hessian(np.zeros(2)) @ along)
    assert curvature == pytest.approx(0.0, abs=1e-15) and VALLEY.pl_constant == 1.0
    assert B.optimal_duration_at_optimum(1.0, 1.0, 1.0, max(0.0, curvature)).time == math.inf
    assert B.optimal_duration_at_optimum(1.0, 1.0, 1.0, VALLEY.pl_constant).time == pytest.approx(math.log(2.0))


@given(seeds, st.integers(1, 4))
def test_B5_the_curvature_is_within_the_smoothness_and_not_negative_at_an_optimum(seed, dimension):
    rng = np.random.default_rng(seed)
    eigenvalues, update = rng.normal(size=dimension), rng.normal(size=dimension)
    for sign, low in ((eigenvalues, -1.0), (np.abs(eigenvalues), 0.0)):
        loss = quadratic(rotated(rng, sign))
        curvature = measured(loss, update, update, sign=-1.0)[2]
        assert low * loss.smoothness - 1e-12 <= curvature <= loss.smoothness + 1e-12


def test_B5_fails_where_pl_is_not_tight():
    """Reward curvatures 1 and 9, start along the steep one, mu = 1: the flow is nine times as fast as the formula."""
    best = B.optimal_duration_at_optimum(4.5, 1.0, 1.0, 1.0)
    times = np.linspace(0.0, 3.0, 3001)
    moved = -np.expm1(-9.0 * times)  # along the steep axis, from 1 to 0
    gains = 4.5 * (2 * moved - moved**2) - 0.5 * moved**2
    assert best.time > 2.0 * times[gains.argmax()]


def test_B5_fails_where_the_path_is_not_straight():
    """The same reward, from (1, 1): the flow first moves along the steep axis, where the SFT loss is flat."""
    reward_gap, loss = quadratic(np.diag([1.0, 9.0])), quadratic(np.diag([1.0, 0.0]), np.array([1.0, 0.0]))
    start = np.ones(2)
    path = measured(loss, start, -reward_gap.gradient(start), sign=-1.0)
    formula = B.optimal_duration(reward_gap.value(start), 1.0, 9.0, *path)
    gains = []
    times = np.linspace(0.0, 4.0, 401)
    for time in times:
        end = np.exp(-np.array([1.0, 9.0]) * time) * start
        gains.append(reward_gap.value(start) - reward_gap.value(end) - 9.0 * loss.value(end))
    assert max(gains) > 4.0 and formula.time > 2.0 * times[int(np.argmax(gains))]


# ------------------------------------------------------------------------------------------------------------------ B6


@given(seeds, st.floats(0.05, 10.0))
def test_B6_no_other_time_of_sft_is_better(seed, exchange_rate):
    """SFT flow on a round loss, any quadratic reward: the best L - R/lambda, and its value in nats."""
    rng = np.random.default_rng(seed)
    loss, pl_constant = round_reward(rng, 3)
    reward = quadratic(rotated(rng, rng.normal(size=3)), rng.normal(size=3))
    start = rng.normal(size=3)
    figures = measured(reward, start, -loss.gradient(start), sign=1.0)
    best = B.optimal_sft_duration(loss.value(start), pl_constant, exchange_rate, *figures)
    values = []
    for time in (*np.linspace(0.0, 12.0, 300), min(best.time, 40.0)):
        end = start - loss.gradient(start) / pl_constant * -math.expm1(-pl_constant * time)
        values.append(loss.value(start) - loss.value(end) + (reward.value(end) - reward.value(start)) / exchange_rate)
    assert max(values[:-1]) <= best.value + 1e-9 * (1.0 + 1.0 / exchange_rate)
    assert values[-1] == pytest.approx(best.value, rel=1e-4, abs=1e-4)


def test_B6_takes_minus_the_curvature_of_the_reward():
    """From the reward's maximum, R = -theta^2/2, L = (theta - 1)^2/2, lambda = 1: stop half way, t = log 2."""
    best = B.optimal_sft_duration(0.5, 1.0, 1.0, 0.0, 0.0, 1.0)
    assert best == pytest.approx((0.5, math.log(2.0), 0.25))
    wrong_sign = B.optimal_sft_duration(0.5, 1.0, 1.0, 0.0, 0.0, -1.0)
    assert wrong_sign.time == math.inf


@given(paths(gaps=(1.0,)), st.floats(0.01, 100.0))
def test_B6_is_the_mirror_and_its_value_times_lambda_is_in_reward(path, exchange_rate):
    nats = B.optimal_sft_duration(**path | {"exchange_rate": exchange_rate})
    grid = exchange_rate * phi(GRID, **path | {"exchange_rate": 1.0 / exchange_rate})
    in_reward = exchange_rate * path["gap"] * (2 * GRID - GRID**2) - loss_change(GRID, path)
    assert np.allclose(grid, in_reward, rtol=1e-9, atol=1e-12 * np.abs(in_reward).max())
    assert exchange_rate * nats.value >= in_reward.max() - 1e-12 * np.abs(in_reward).max()


def test_B6_dear_nats_and_cheap_ones():
    assert B.optimal_sft_duration(0.5, 1.0, 1e300, -1.0, 3.0, 1.0) == pytest.approx(
        (1.0, 300 * math.log(10), 0.5), 0.01
    )
    assert B.optimal_sft_duration(0.5, 1.0, 1e-300, 0.5, 1.0, 1.0).progress == pytest.approx(0.5)
    for worthless in (0.0, 1e-310):
        with pytest.raises(DataError, match="exchange_rate must be positive for SFT after RL .B6.. Got .* leave the"):
            B.optimal_sft_duration(0.5, 1.0, worthless, 0.5, 1.0, 1.0)


# ----------------------------------------------------------------------------------------------- arguments and answers


def test_arrays_broadcast_and_figures_stay_figures():
    gap, rate = np.array([0.0, 1.0, 2.0]), np.array([[0.0], [1.0]])
    together = B.optimal_duration(gap, 1.0, rate, 0.5, 1.0, 2.0)
    for field in together:
        assert field.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        alone = B.optimal_duration(float(gap[j]), 1.0, float(rate[i, 0]), 0.5, 1.0, 2.0)
        assert all(type(field) is float for field in alone)
        assert tuple(field[i, j] for field in together) == alone
    assert B.tradeoff_on_path(GRID, 1.0, 1.0, 1.0, 0.5, 1.0, 2.0).shape == GRID.shape
    assert type(B.tradeoff_on_path(1, 1, 1, 1, 1, 1, 1)) is float is type(B.least_loss_progress(1, 1, 1, 1, 1))
    assert B.least_loss_progress(gap, 1.0, 0.5, 1.0, 2.0).shape == (3,) == B.break_even_progress(gap, 1, 1, 1, 1).shape
    assert B.optimal_sft_duration(gap, 1.0, np.array([[1.0], [2.0]]), 0.5, 1.0, 2.0).time.shape == (2, 3)
    assert B.optimal_duration_at_optimum(1.0, 1.0, 1.0, np.array([0.0, 1.0])).time.tolist() == [math.inf, math.log(2.0)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("progress", 1.5, "progress must be between 0 and 1. Got 1.5. Give 1 - exp(-pl_constant time)."),
        ("gap", -1.0, "gap must be finite and at least 0. Got -1.0."),
        ("pl_constant", -1.0, "pl_constant must be positive. Got -1.0."),
        (
            "exchange_rate",
            math.inf,
            "exchange_rate must be finite and at least 0. Got inf. Say how much reward one nat",
        ),
        ("alignment", -2.0, "alignment must be a cosine. Got -2.0."),
        ("gradient_norm", math.nan, "gradient_norm must be finite and at least 0. Got nan."),
        ("curvature", math.inf, "curvature must be finite. Got inf. Measure it by one Hessian-vector product"),
    ],
)
def test_arguments_that_break_their_rule_are_refused(name, value, message):
    path = {"progress": 0.5, "gap": 1.0, "pl_constant": 1.0, "exchange_rate": 1.0, "alignment": 0.0}
    with pytest.raises(DataError) as refusal:
        B.tradeoff_on_path(**path | {"gradient_norm": 1.0, "curvature": 1.0} | {name: value})
    assert message in str(refusal.value)
