"""The change of a rate: coverage by enumeration of all trinomial outcomes, and the sign of McNemar's exact test."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Unresolved
from interlace.statistics.comparison import mcnemar
from interlace.statistics.paired_rates import rate_change, rate_change_ends


@cache
def table(prompts):
    """(lost, gained, lower, upper) of every outcome."""
    outcomes = [(b, c) for b in range(prompts + 1) for c in range(prompts + 1 - b)]
    return np.array([(b, c, *rate_change_ends(b, c, prompts, 0.95)) for b, c in outcomes])


def exact_coverage(prompts, lost, gained):
    b, c, lower, upper = table(prompts).T
    counts = np.stack([b, c, prompts - b - c], axis=1)
    chance = stats.multinomial.pmf(counts, prompts, [lost, gained, 1.0 - lost - gained])
    truth = gained - lost
    return float(chance @ ((lower <= truth) & (truth <= upper)))


@pytest.mark.parametrize("prompts", [4, 18])
def test_it_covers_every_pair_of_chances_in_95_percent(prompts):
    grid = [0.0, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.9]
    pairs = [(lost, gained) for lost in grid for gained in grid if lost + gained <= 1.0]
    assert min(exact_coverage(prompts, *pair) for pair in pairs) >= 0.95


@pytest.mark.parametrize("prompts", [6, 18])
def test_its_sign_is_mcnemars(prompts):
    for lost, gained, lower, upper in table(prompts):
        before = np.repeat([True, False], [lost, prompts - lost])
        after = np.repeat([False, True, False], [lost, gained, prompts - lost - gained])
        assert (lower > 0.0 or upper < 0.0) == (mcnemar(before, after).p_value < 0.05)


def test_its_ends_are_quantiles_of_the_melded_product():
    """Monte Carlo from the two confidence distributions, instead of quadrature."""
    rng, lost, gained, prompts = np.random.default_rng(0), 3, 9, 40
    shares = rng.beta(gained, lost + 1, 400_000)
    few, many = rng.beta(12, prompts - 11, 400_000), rng.beta(13, prompts - 12, 400_000)
    product = np.where(shares > 0.5, few, many) * (2 * shares - 1)
    assert rate_change_ends(lost, gained, prompts, 0.95)[0] == pytest.approx(np.quantile(product, 0.025), abs=1e-3)


def test_exchanging_the_points_exchanges_the_ends():
    for lost, gained, lower, upper in table(6):
        assert rate_change_ends(int(gained), int(lost), 6, 0.95) == pytest.approx((-upper, -lower), abs=1e-9)


def test_without_flips_the_interval_still_has_width():
    """0 of n prompts flipped: each direction is Clopper-Pearson's upper end at 0."""
    figure = rate_change(np.ones(50, dtype=bool), np.ones(50, dtype=bool))
    bound = 1.0 - 0.025 ** (1 / 50)
    assert (figure.value, figure.lower, figure.upper) == pytest.approx((0.0, -bound, bound))


def test_all_flips_and_none_to_measure():
    every = rate_change(np.ones(10, dtype=bool), np.zeros(10, dtype=bool))
    assert (every.value, every.lower) == (-1.0, -1.0) and every.upper < 0.0
    assert rate_change(np.ones(0, dtype=bool), np.ones(0, dtype=bool)) == Unresolved("no prompts")
