from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Unresolved
from interlace.statistics.comparison import Flips, mcnemar, paired_difference
from interlace.statistics.intervals import paired_change


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_paired_difference_has_the_larger_p_value_of_t_and_halls_statistic(rng, shift):
    before = rng.normal(size=40)
    after = before + shift + rng.normal(size=40)
    difference = paired_difference(before, after, unit="nats", level=0.9)
    assert difference.change == paired_change(before, after, unit="nats", level=0.9)
    t, a = stats.ttest_rel(after, before).statistic, stats.skew(after - before) / 40**0.5
    both = (t, t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6)
    assert difference.p_value == pytest.approx(max(2 * stats.t.sf(abs(statistic), 39) for statistic in both))


def test_the_p_value_is_the_level_at_which_the_interval_ends_at_0(rng):
    for _ in range(20):
        change = rng.exponential(size=16) - rng.uniform(0.3, 1.5)
        found = paired_difference(np.zeros(16), change, unit="")
        figure = paired_change(np.zeros(16), change, unit="", level=1.0 - found.p_value)
        end = figure.lower if figure.value > 0.0 else figure.upper
        assert end == pytest.approx(0.0, abs=1e-9)


def test_changes_without_skewness_have_the_t_tests_p_value():
    change = 0.3 + np.concatenate([np.arange(10.0), -np.arange(10.0)]) / 9
    expected = stats.ttest_1samp(change, 0.0).pvalue
    assert paired_difference(np.zeros(20), change, unit="").p_value == pytest.approx(expected)


def test_paired_difference_without_variation_or_without_prompts():
    values = np.arange(12.0)
    assert paired_difference(values, values, unit="").p_value == 1.0
    assert paired_difference(values, values + 1.0, unit="").p_value == 0.0
    assert paired_difference(values[:1], values[:1], unit="").p_value is None
    assert isinstance(paired_difference(values[:1], values[:1], unit="").change, Unresolved)


def test_mcnemar_is_a_binomial_test_of_the_flips(rng):
    before, after = rng.random(60) < 0.5, rng.random(60) < 0.7
    flips = mcnemar(before, after)
    assert flips.lost == np.sum(before & ~after) and flips.gained == np.sum(~before & after)
    tail = stats.binom.cdf(min(flips.lost, flips.gained), flips.lost + flips.gained, 0.5)
    assert flips.p_value == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_without_flips():
    right = np.array([True, False])
    assert mcnemar(right, right) == Flips(lost=0, gained=0, p_value=1.0)


def test_mcnemar_keeps_its_level(rng):
    """Exact: errs in at most 5 % of comparisons in which losses and gains are equally likely."""
    before, after = (rng.random((400, 80)) < 0.5 for _ in range(2))
    assert np.mean([mcnemar(b, a).p_value <= 0.05 for b, a in zip(before, after, strict=True)]) <= 0.05
