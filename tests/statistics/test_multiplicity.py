from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.intervals import mean_interval
from interlace.statistics.multiplicity import (
    adjusted,
    benjamini_hochberg,
    holm,
    simultaneous_intervals,
    simultaneous_level,
    together,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_holm_is_the_closure_of_bonferroni(rng):
    """By its definition: H_i falls if every intersection of hypotheses that holds i falls by Bonferroni's test."""
    for p_values in rng.random((50, 5)) ** 3:
        for i in range(5):
            sets = [s for size in range(1, 6) for s in combinations(range(5), size) if i in s]
            closure = max(min(1.0, len(s) * p_values[list(s)].min()) for s in sets)
            assert holm(p_values)[i] == pytest.approx(closure)


def test_benjamini_hochberg_is_scipys(rng):
    for p_values in rng.random((50, 7)) ** 2:
        assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


def test_holm_keeps_any_error_below_5_percent(rng):
    """Ten comparisons with a shared baseline, three of them real."""
    shift = np.array([4.0, 4.0, 4.0] + [0.0] * 7)
    scores = shift + (rng.standard_normal((2000, 10)) + rng.standard_normal((2000, 1))) / np.sqrt(2)
    p_values = 2 * stats.norm.sf(np.abs(scores))
    found = np.array([holm(row) for row in p_values]) <= 0.05
    assert found[:, 3:].any(axis=1).mean() <= 0.05 and found[:, :3].mean() > 0.75


def test_benjamini_hochberg_keeps_the_false_share_below_5_percent(rng):
    shift = np.repeat([3.0, 0.0], [10, 10])
    found = (
        np.array([benjamini_hochberg(2 * stats.norm.sf(np.abs(row))) for row in shift + rng.normal(size=(2000, 20))])
        <= 0.05
    )
    assert (found[:, 10:].sum(axis=1) / np.maximum(1, found.sum(axis=1))).mean() <= 0.05


def test_unresolved_comparisons_do_not_count():
    assert adjusted([0.01, None, 0.04]) == pytest.approx([0.02, None, 0.04])
    assert adjusted([None]) == [None]
    assert adjusted([0.04, 0.01], "benjamini_hochberg") == pytest.approx([0.04, 0.02])
    with pytest.raises(ValueError, match=r"p_values must lie in \[0, 1\]\. Got \[1\.5\]\."):
        adjusted([1.5])


@pytest.mark.parametrize(("prompts", "alike"), [(16, 0.95), (64, 0.0)])
def test_simultaneous_intervals_hold_all_together(rng, prompts, alike):
    held = []
    for _ in range(200):
        shared = rng.standard_normal(prompts)
        changes = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.standard_normal((6, prompts))
        figures = simultaneous_intervals(changes, rng=rng, unit="nats", resamples=500)
        held.append(all(figure.covers(0.0) for figure in figures))
    assert np.mean(held) >= 0.925


def test_comparisons_that_go_together_cost_less(rng):
    shared = rng.standard_normal(200)
    alike = shared + 0.05 * rng.standard_normal((6, 200))
    apart = rng.standard_normal((6, 200))
    near, far = (simultaneous_level(changes, rng=rng) for changes in (alike, apart))
    assert 0.95 <= near < 0.97 < far <= 1 - 0.05 / 6


def test_one_comparison_is_an_ordinary_interval(rng):
    row = rng.normal(size=(1, 30))
    ours, plain = simultaneous_intervals(row, rng=rng, unit="nats")[0], mean_interval(row[0], unit="nats")
    assert (ours.lower, ours.upper) == pytest.approx((plain.lower, plain.upper))


def test_a_row_that_is_not_finite_is_unresolved_alone(rng):
    changes = rng.normal(size=(3, 30))
    changes[1, 4] = np.nan
    figures = simultaneous_intervals(changes, rng=rng, unit="nats")
    assert figures[1] == Unresolved("1 of 30 prompts has a value that is not finite")
    assert isinstance(figures[0], Estimate) and "2 comparisons at 95% together" in figures[0].method


def test_intervals_widened_to_hold_together_do() -> None:
    """Ten means of 9 normal values: Bonferroni's level each, so 95 % of tens hold; a control without does not."""
    rng, held, alone = np.random.default_rng(3), 0, 0
    for _ in range(1000):
        figures = [mean_interval(row, unit="1") for row in rng.normal(size=(10, 9))]
        assert all(isinstance(each, Estimate) for each in figures)
        told = [each for each in figures if isinstance(each, Estimate)]
        held += all(together(each, 10).covers(0.0) for each in told)
        alone += all(each.covers(0.0) for each in told)
    assert held / 1000 > 0.94 and alone / 1000 < 0.7
    (one,) = [mean_interval(np.arange(9.0), unit="1")]
    assert isinstance(one, Estimate)
    wide, level = together(one, 10), mean_interval(np.arange(9.0), unit="1", level=1.0 - 0.05 / 10)
    assert isinstance(level, Estimate)
    assert (wide.lower, wide.upper) == pytest.approx((level.lower, level.upper)), "Student t at Bonferroni's level"
