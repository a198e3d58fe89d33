from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.statistics.intervals import mean_interval, ratio_interval
from interlace.statistics.jackknife import jackknife_interval, left_out_weights, welch_half_width

from .simulation import REPEATS, coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_weights_leave_one_out(rng):
    values = rng.normal(size=7)
    means = [np.delete(values, i).mean() for i in range(7)]
    assert left_out_weights(7) @ values == pytest.approx(means)


def test_of_a_mean_it_is_students_interval(rng):
    values = rng.normal(size=20)
    ours = jackknife_interval(float(values.mean()), [left_out_weights(20) @ values], unit="nats")
    student = mean_interval(values, unit="nats")
    assert (ours.lower, ours.upper, ours.n) == pytest.approx((student.lower, student.upper, 20))


def test_of_a_ratio_it_agrees_with_the_linearised_interval(rng):
    tokens = rng.integers(1, 30, 300) * 1.0
    nats = 0.2 * tokens + rng.gamma(2.0, 0.5, 300)
    weights = left_out_weights(300)
    ours = jackknife_interval(
        float(nats.sum() / tokens.sum()), [(weights @ nats) / (weights @ tokens)], unit="nats/token"
    )
    linear = ratio_interval(nats, tokens, unit="nats/token")
    assert (ours.lower, ours.upper) == pytest.approx((linear.lower, linear.upper), rel=0.01)


def test_of_a_variance_it_covers(rng):
    rows = rng.normal(size=(REPEATS, 60))
    left_out = np.stack([np.delete(rows, i, axis=1).var(axis=1, ddof=1) for i in range(60)], axis=1)
    points = rows.var(axis=1, ddof=1).tolist()
    figures = [jackknife_interval(p, [values], unit="") for p, values in zip(points, left_out, strict=True)]
    assert is_nominal(coverage(figures, 1.0))


@pytest.mark.parametrize("sizes", [(3, 3), (4, 12)])
def test_two_groups_add_their_variances(rng, sizes):
    """The difference of two means is Welch's interval."""
    from scipy import stats

    first, second = (rng.normal(scale=scale, size=size) for scale, size in zip((1.0, 3.0), sizes, strict=True))
    means = float(first.mean()), float(second.mean())
    groups = [left_out_weights(sizes[0]) @ first - means[1], means[0] - left_out_weights(sizes[1]) @ second]
    ours = jackknife_interval(means[0] - means[1], groups, unit="")
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (ours.lower, ours.upper, ours.n) == pytest.approx((welch.low, welch.high, min(sizes)))


def test_scope_and_units_are_said():
    figure = jackknife_interval(1.0, [np.array([0.9, 1.0, 1.1])], unit="", units="seeds", scope=THIS_RECIPE)
    assert figure.scope == THIS_RECIPE and figure.method == "jackknife over seeds"
    constant = jackknife_interval(1.0, [np.ones(4)], unit="")
    assert constant.lower == constant.upper and constant.method.endswith("; no variation between prompts")
    assert welch_half_width([0.0, 0.0], [3, 3], 0.95) == 0.0


@pytest.mark.parametrize(
    ("point", "groups", "reason"),
    [
        (1.0, [np.ones(1)], "an interval needs at least 2 prompts, got 1"),
        (1.0, [np.ones(3), np.array([1.0, np.nan])], "1 of 2 prompts has a value that is not finite"),
        (math.inf, [np.ones(3)], "the figure itself is inf"),
    ],
)
def test_what_cannot_be_had_is_unresolved_with_its_reason(point, groups, reason):
    assert jackknife_interval(point, groups, unit="") == Unresolved(reason)


def test_the_only_unit_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"count must be at least 2\. Got 1\."):
        left_out_weights(1)
