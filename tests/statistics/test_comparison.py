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
def test_paired_difference_has_the_t_tests_p_value(rng, shift):
    before = rng.normal(size=40)
    after = before + shift + rng.normal(size=40)
    difference = paired_difference(before, after, unit="nats", level=0.9)
    assert difference.change == paired_change(before, after, unit="nats", level=0.9)
    assert difference.p_value == pytest.approx(stats.ttest_rel(after, before).pvalue)


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
