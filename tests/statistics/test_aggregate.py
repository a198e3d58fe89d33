from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.statistics.aggregate import (
    improvement_interval,
    interquartile_mean,
    interquartile_mean_interval,
    probability_of_improvement,
    seeds_resampled,
)

from .simulation import coverage


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 3), (3, 5), (4, 8)])
def test_interquartile_mean_is_a_trimmed_mean(rng, shape):
    scores = rng.normal(size=shape)
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))


def test_probability_of_improvement_is_mann_whitneys(rng):
    before, after = rng.integers(5, size=(3, 4)) * 1.0, rng.integers(5, size=(3, 6)) * 1.0
    expected = [stats.mannwhitneyu(a, b).statistic / 24 for b, a in zip(before, after, strict=True)]
    assert probability_of_improvement(before, after) == pytest.approx(np.mean(expected))
    assert probability_of_improvement(after, before) == pytest.approx(1.0 - np.mean(expected))


def test_seeds_stay_within_their_task(rng):
    scores = np.arange(12.0).reshape(3, 4)
    drawn = seeds_resampled(rng, scores, 200)
    assert drawn.shape == (200, 3, 4) and (np.floor(drawn / 4) == np.arange(3)[:, None]).all()
    assert np.unique(drawn).size == 12


@pytest.mark.parametrize(("tasks", "seeds"), [(5, 3), (5, 5), (1, 10)])
def test_intervals_cover(rng, tasks, seeds):
    levels = np.linspace(0.0, 1.0, tasks)[:, None]
    truth = float(interquartile_mean(levels + rng.exponential(0.5, size=(tasks, 200_000))))
    means, chances = [], []
    for _ in range(100):
        means.append(
            interquartile_mean_interval(levels + rng.exponential(0.5, size=(tasks, seeds)), rng=rng, unit="score")
        )
        before, after = rng.normal(size=(tasks, seeds)), 0.5 + rng.normal(size=(tasks, seeds))
        chances.append(improvement_interval(before, after, rng=rng))
    assert coverage(means, truth) >= 0.90
    assert coverage([c for c in chances if not isinstance(c, Unresolved)], stats.norm.cdf(0.5**0.5 / 2).item()) >= 0.90
    assert means[0].scope == THIS_RECIPE and f"seeds of {tasks} tasks" in means[0].method


def test_what_cannot_be_had_is_unresolved_with_its_reason(rng):
    scores, hole = rng.normal(size=(3, 2)), np.array([[1.0, np.nan, 2.0]])
    assert interquartile_mean_interval(scores, rng=rng, unit="") == Unresolved(
        "a stratified bootstrap needs at least 3 seeds a task, got 2"
    )
    assert interquartile_mean_interval(hole, rng=rng, unit="") == Unresolved(
        "1 of 3 runs has a value that is not finite"
    )
    assert improvement_interval(np.zeros((2, 4)), np.ones((2, 4)), rng=rng) == Unresolved(
        "every run after scores higher on every task: run more seeds"
    )
