"""Betting: the capital is a martingale (by enumeration), equals a slow twin, and never errs in more than 5 %."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.sequential import confidence_sequence, log_capital, sequential_interval

THRESHOLD = math.log(2 / 0.05)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ----------------------------------------------------------------------------------------------------- the mathematics


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("horizon", [None, 8])
def test_capital_has_mean_1_over_all_outcomes(mean, horizon):
    """E capital = 1 at every draw if the candidate is true: all 2^8 sequences with their probabilities."""
    outcomes = np.array(list(product([0.0, 1.0], repeat=8)))
    chance = mean ** outcomes.sum(axis=1) * (1 - mean) ** (8 - outcomes.sum(axis=1))
    for capital in log_capital(outcomes, np.array([mean]), horizon=horizon):
        assert chance @ np.exp(capital[..., 0]) == pytest.approx(np.ones(8))


@pytest.mark.parametrize("population", [(0.0, 0.0, 1.0, 0.0, 1.0, 1.0), (0.2, 0.9, 0.4, 0.4, 1.0, 0.0)])
def test_capital_has_mean_1_over_all_orders(population):
    orders = np.array(list(permutations(population)))
    for capital in log_capital(orders, np.array([np.mean(population)]), population=6):
        assert np.exp(capital[..., 0]).mean(axis=0) == pytest.approx(np.ones(6))


@pytest.mark.parametrize("population", [None, 25])
def test_capital_is_that_of_a_slow_twin(rng, population):
    values, candidates = rng.random(20), np.array([0.2, 0.45, 0.7])
    above, below = log_capital(values, candidates, population=population)
    for column, candidate in enumerate(candidates.tolist()):
        expected = slow_capital(values.tolist(), candidate, population)
        assert np.exp(above[:, column]) == pytest.approx([up for up, _ in expected])
        assert np.exp(below[:, column]) == pytest.approx([down for _, down in expected])


def slow_capital(values, candidate, population):
    """Waudby-Smith and Ramdas (2024), line by line."""
    up, down, history = 1.0, 1.0, []
    squares = 0.25
    for t, value in enumerate(values, start=1):
        mean = (
            candidate if population is None else (population * candidate - sum(values[: t - 1])) / (population - t + 1)
        )
        mean = min(1.0, max(0.0, mean))
        stake = math.sqrt(2 * math.log(2 / 0.05) / (squares / t * t * math.log(1 + t)))
        up *= 1 + min(stake, 0.5 / mean if mean else math.inf) * (value - mean)
        down *= 1 - min(stake, 0.5 / (1 - mean) if mean < 1 else math.inf) * (value - mean)
        squares += (value - (0.5 + sum(values[:t])) / (t + 1)) ** 2
        history.append((up, down))
    return history


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.95])
@pytest.mark.parametrize("group", [1, 8])
def test_a_thousand_looks_err_in_5_percent_at_most(rng, rate, group):
    values = rng.binomial(group, rate, size=(1500, 1000)) / group
    above, below = log_capital(values, np.array([rate]))
    assert (np.maximum(above, below) >= THRESHOLD).any(axis=(1, 2)).mean() <= 0.05


@pytest.mark.parametrize("right", [10, 250, 490])
def test_a_thousand_looks_at_a_fixed_set_err_in_5_percent_at_most(rng, right):
    held_out = np.repeat([1.0, 0.0], [right, 500 - right])
    orders = rng.permuted(np.tile(held_out, (1500, 1)), axis=1)
    above, below = log_capital(orders, np.array([right / 500]), population=500)
    assert (np.maximum(above, below) >= THRESHOLD).any(axis=(1, 2)).mean() <= 0.05


def test_rounding_to_candidates_loses_no_coverage(rng):
    """Where the capital at the truth never reached the threshold, the interval holds the truth at every n."""
    for values in (rng.random((20, 200)) < 0.3).astype(float):
        above, below = log_capital(values, np.array([0.3]))
        erred = bool((np.maximum(above, below) >= THRESHOLD).any())
        sequence = confidence_sequence(values, 0.0, 1.0)
        assert erred or ((sequence.lower <= 0.3) & (sequence.upper >= 0.3)).all()
        assert sequence.upper[-1] - sequence.lower[-1] < 0.3


# -------------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("population", [None, 300])
def test_intervals_are_nested(rng, population):
    sequence = confidence_sequence(rng.random((3, 100)), 0.0, 1.0, population=population)
    assert (np.diff(sequence.lower) >= 0.0).all() and (np.diff(sequence.upper) <= 0.0).all()


def test_a_batch_is_its_rows(rng):
    values = rng.random((3, 40))
    batch = confidence_sequence(values, 0.0, 1.0, population=50)
    for row in range(3):
        alone = confidence_sequence(values[row], 0.0, 1.0, population=50)
        assert np.array_equal(batch.lower[row], alone.lower) and np.array_equal(batch.upper[row], alone.upper)


def test_a_fixed_set_that_is_used_up_is_known(rng):
    values = rng.random(60)
    figure = sequential_interval(values, 0.0, 1.0, unit="fraction", population=60)
    assert (figure.lower, figure.upper) == pytest.approx((values.mean(), values.mean()))
    assert figure.method == "mean of all 60"


def test_without_replacement_is_narrower(rng):
    values = (rng.random(300) < 0.4) * 1.0
    free, fixed = (sequential_interval(values, 0.0, 1.0, unit="", population=size) for size in (None, 400))
    assert fixed.upper - fixed.lower < 0.7 * (free.upper - free.lower)


def test_a_horizon_is_narrower_there(rng):
    values = (rng.random(500) < 0.4) * 1.0
    plain, aimed = (sequential_interval(values, 0.0, 1.0, unit="", horizon=horizon) for horizon in (None, 500))
    assert aimed.upper - aimed.lower < 0.75 * (plain.upper - plain.lower)


def test_another_range_is_the_same_interval_rescaled(rng):
    values = rng.random(50)
    unit = sequential_interval(values, 0.0, 1.0, unit="")
    moved = sequential_interval(4.0 * values - 1.0, -1.0, 3.0, unit="")
    assert (moved.lower, moved.upper) == pytest.approx((4.0 * unit.lower - 1.0, 4.0 * unit.upper - 1.0))


def test_values_that_change_on_the_way_are_moved_or_unresolved():
    """Not in random order: first all wrong, then all right."""
    moved = sequential_interval(np.repeat([0.0, 1.0], [100, 20]), 0.0, 1.0, unit="")
    assert isinstance(moved, Estimate) and moved.method.endswith(", moved to its end")
    assert sequential_interval(np.repeat([0.0, 1.0], [100, 400]), 0.0, 1.0, unit="") == Unresolved(
        "the intervals at different n have nothing in common: draw the values in random order"
    )


def test_what_cannot_be_is_refused():
    assert sequential_interval(np.array([0.5, np.nan]), 0.0, 1.0, unit="") == Unresolved(
        "1 of 2 draws has a value that is not finite"
    )
    assert sequential_interval(np.ones(0), 0.0, 1.0, unit="") == Unresolved("an interval needs at least 1 draws, got 0")
    with pytest.raises(ValueError, match=r"values must lie in \[0\.0, 1\.0\]\. Got 0\.5 to 2\.0\."):
        sequential_interval(np.array([0.5, 2.0]), 0.0, 1.0, unit="")
    with pytest.raises(ValueError, match=r"population must be at least the number of draws\. Got 2 for 3\."):
        sequential_interval(np.ones(3), 0.0, 1.0, unit="", population=2)
    with pytest.raises(ValueError, match=r"low must be less than high\. Got \[1\.0, 1\.0\]\."):
        sequential_interval(np.ones(3), 1.0, 1.0, unit="")
