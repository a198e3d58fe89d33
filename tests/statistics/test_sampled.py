"""Changes of sampled rewards: p-values that agree with their intervals, bounds where few prompts changed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.statistics import intervals, paired_difference, sampled_difference
from interlace.statistics.sampled import FEW, SAME


def difference(before, after, level=0.95):
    return sampled_difference(np.array(before, dtype=float), np.array(after, dtype=float), unit="", level=level)


@pytest.mark.parametrize(("rose", "fell"), [(0, 0), (3, 0), (2, 5), (0, 7)])
def test_few_changes_have_clopper_pearsons_bounds_of_both_shares(rose, fell):
    change = np.repeat([0.5, -0.25, 0.0], [rose, fell, 30 - rose - fell])
    found = difference(np.full(30, 0.5), 0.5 + change)
    ends = [stats.binomtest(count, 30).proportion_ci(0.95, "exact").high for count in (fell, rose)]
    assert (found.change.lower, found.change.upper) == pytest.approx((-ends[0], ends[1]))
    assert (found.change.value, found.p_value, found.change.method) == (pytest.approx(change.mean()), 1.0, FEW)


@pytest.mark.parametrize(("count", "size"), [(8, 1.0), (16, 1.0), (40, 0.125), (40, -0.5)])
def test_samples_that_all_changed_alike_make_nothing_certain(count, size):
    found = difference(np.full(count, 0.5), np.full(count, 0.5 + size))
    share = stats.binomtest(count, count).proportion_ci(0.95, "exact").low
    assert found.change.method == SAME and found.change.covers(size)
    near = share * size - np.sign(size) * (1 - share)
    assert (found.change.lower if size > 0 else found.change.upper) == pytest.approx(near)
    on_the_edge = difference(np.full(count, 0.5), np.full(count, 0.5 + size), level=1 - found.p_value).change
    if found.p_value < 1.0:
        assert (on_the_edge.lower if size > 0 else on_the_edge.upper) == pytest.approx(0.0, abs=1e-9)


def test_enough_changes_are_compared_as_any():
    rng = np.random.default_rng(0)
    before, after = rng.binomial(8, 0.3, 20) / 8, rng.binomial(8, 0.5, 20) / 8
    found = difference(before, after)
    assert found.change == intervals.paired_change(before, after, unit="")
    assert found.p_value == paired_difference(before, after, unit="").p_value


def test_what_is_not_finite_or_too_little_is_refused():
    assert isinstance(difference([0.0, np.nan], [1.0, 1.0]).change, Unresolved)
    assert difference([0.0], [1.0]).p_value is None


def test_p_values_agree_with_intervals():
    rng = np.random.default_rng(1)
    for prompts in (8, 9, 16, 40):
        for rate, then in ((0.02, 0.1), (0.3, 0.5), (0.9, 1.0), (0.0, 0.9)):
            for _ in range(50):
                found = difference(rng.binomial(4, rate, prompts) / 4, rng.binomial(4, then, prompts) / 4)
                assert isinstance(found.change, Estimate)
                assert (found.p_value < 0.05) == (found.change.sign != 0)
