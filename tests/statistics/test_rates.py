"""Intervals of a rate: no simulation, the coverage at a rate is a sum of binomial probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.rates import RATE_INTERVALS, rate_interval

RATES = np.linspace(0.05, 0.95, 901)
SIZES = [*range(2, 60), 64, 100, 128, 256, 512, 1000]


def exact_coverage(kind, trials):
    """At each of `RATES`."""
    counts = np.arange(trials + 1)
    ends = np.array([RATE_INTERVALS[kind].ends(count, trials, 0.95) for count in counts.tolist()])
    covers = (ends[:, :1] <= RATES) & (ends[:, 1:] >= RATES)
    return (stats.binom.pmf(counts[:, None], trials, RATES) * covers).sum(axis=0)


def holds(kind, trials):
    shares = exact_coverage(kind, trials)
    if kind == "clopper_pearson":
        return shares.min() >= 0.95
    return 0.93 <= shares.mean() <= 0.97 and shares.min() >= 0.90


@pytest.mark.parametrize("kind", list(RATE_INTERVALS))
def test_each_holds_from_its_minimum_on_and_not_below(kind):
    minimum = RATE_INTERVALS[kind].minimum_trials
    assert all(holds(kind, trials) for trials in SIZES if trials >= minimum)
    assert minimum == 1 or not holds(kind, minimum - 1)


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (3, 20), (20, 20), (499, 500)])
@pytest.mark.parametrize(("kind", "theirs"), [("wilson", "wilson"), ("clopper_pearson", "exact")])
def test_ends_are_scipys(successes, trials, kind, theirs):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method=theirs)
    figure = rate_interval(successes, trials, kind=kind)
    assert (figure.lower, figure.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_jeffreys_is_the_posterior_but_at_the_ends():
    figure = rate_interval(3, 20, kind="jeffreys", level=0.9)
    assert (figure.lower, figure.upper) == pytest.approx(stats.beta.ppf([0.05, 0.95], 3.5, 17.5))
    none = rate_interval(0, 20, kind="jeffreys")
    assert (none.lower, none.upper) == pytest.approx((0.0, 1.0 - 0.025 ** (1 / 20)))


def test_zero_and_all_mirror_each_other():
    for kind in RATE_INTERVALS:
        none, every = rate_interval(0, 30, kind=kind), rate_interval(30, 30, kind=kind)
        assert none.lower == 0.0 and every.upper == 1.0 and none.upper == pytest.approx(1.0 - every.lower)


def test_too_few_trials_are_refused_with_a_way_out():
    reason = "Wilson's interval needs at least 12 trials, got 11: kind='clopper_pearson' holds for any number"
    assert rate_interval(3, 11) == Unresolved(reason)
    assert isinstance(rate_interval(3, 11, kind="jeffreys"), Estimate)
    assert isinstance(rate_interval(1, 1, kind="clopper_pearson"), Estimate)
    assert rate_interval(0, 0) == Unresolved("no trials")


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match=r"successes must lie in \[0, trials\]\. Got 3 of 2"):
        rate_interval(3, 2)
