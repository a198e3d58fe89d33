from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.statistics.comparison import mcnemar, paired_difference
from interlace.statistics.power import (
    detectable_between_seeds,
    detectable_change,
    detectable_rate_change,
    mcnemar_power,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("prompts", [16, 128])
def test_a_change_of_that_size_is_found_in_80_percent(rng, prompts):
    least = detectable_change(0.5, prompts, unit="nats").value
    changes = rng.normal(least, 0.5, size=(2000, prompts))
    found = [paired_difference(np.zeros(prompts), row, unit="nats").change.sign for row in changes]
    assert np.mean(np.array(found) == 1) == pytest.approx(0.8, abs=0.03)


def test_for_many_prompts_it_is_the_normal_formula():
    quantiles = stats.norm.ppf(0.975) + stats.norm.ppf(0.9)
    assert detectable_change(2.0, 10_000, unit="", power=0.9).value == pytest.approx(quantiles * 2.0 / 100, rel=1e-3)


def test_seeds_speak_of_the_recipe(rng):
    figure = detectable_between_seeds(0.1, 3, unit="nats")
    found = [stats.ttest_1samp(row, 0.0) for row in rng.normal(figure.value, 0.1, size=(2000, 3))]
    assert np.mean([test.pvalue <= 0.05 and test.statistic > 0 for test in found]) == pytest.approx(0.8, abs=0.03)
    assert figure.scope == THIS_RECIPE and figure.n == 3


def test_mcnemars_power_is_that_of_all_outcomes():
    """The chance of every (lost, gained) among 12 prompts at which the test resolves a rise."""
    lost, gained = 0.05, 0.45
    expected = 0.0
    for b in range(13):
        for c in range(13 - b):
            before = np.repeat([True, False], [b, 12 - b])
            after = np.repeat([False, True, False], [b, c, 12 - b - c])
            found = c > b and mcnemar(before, after).p_value <= 0.05
            expected += found * stats.multinomial.pmf([b, c, 12 - b - c], 12, [lost, gained, 0.5])
    assert mcnemar_power(lost, gained, 12) == pytest.approx(expected)


def test_a_rate_change_of_that_size_is_found_in_80_percent(rng):
    least = detectable_rate_change(0.3, 100).value
    counts = rng.multinomial(100, [(0.3 - least) / 2, (0.3 + least) / 2, 0.7], size=2000)
    tails = stats.binom.sf(counts[:, 1] - 1, counts[:, 0] + counts[:, 1], 0.5)
    assert np.mean(tails <= 0.025) == pytest.approx(0.8, abs=0.03)


def test_no_power_is_unresolved_with_its_reason():
    assert detectable_change(1.0, 1, unit="") == Unresolved("a comparison needs at least 2 prompts, got 1")
    assert detectable_between_seeds(1.0, 1, unit="") == Unresolved("a comparison needs at least 2 seeds, got 1")
    figure = detectable_rate_change(0.1, 20)
    assert isinstance(figure, Unresolved)
    assert figure.reason.startswith("20 prompts of which 0.1 flip show no change with power 0.8, even if all flip")


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"scatter must be a standard deviation\. Got -1\.0\."):
        detectable_change(-1.0, 10, unit="")
    with pytest.raises(ValueError, match=r"flip_share must lie in \(0, 1\]\. Got 0\.0\."):
        detectable_rate_change(0.0, 10)
