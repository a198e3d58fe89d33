"""Seeds as the outer level: intervals that speak of the recipe, on these prompts' own or on shared ones."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.statistics.clustered import (
    MINIMUM_SEEDS,
    crossed_interval,
    seed_bootstrap_interval,
    seed_prompt_interval,
    seed_prompt_left_out,
    seed_prompt_weights,
)
from interlace.statistics.intervals import mean_interval, seed_interval
from interlace.statistics.jackknife import jackknife_interval

from .simulation import REPEATS, coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def crossed(rng, seeds, prompts, seed_scatter, prompt_scatter):
    """Two-way random effects around 0.3, `REPEATS` tables."""
    seed = seed_scatter * rng.standard_normal((REPEATS, seeds, 1))
    prompt = prompt_scatter * rng.standard_normal((REPEATS, 1, prompts))
    return 0.3 + seed + prompt + rng.standard_normal((REPEATS, seeds, prompts))


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(("seed_scatter", "prompt_scatter"), [(0.0, 0.0), (0.3, 0.0), (0.0, 1.0), (0.3, 1.0)])
def test_seeds_on_shared_prompts(rng, seeds, seed_scatter, prompt_scatter):
    tables = crossed(rng, seeds, 64, seed_scatter, prompt_scatter)
    figures = [seed_prompt_interval(table, shared_prompts=True, unit="") for table in tables]
    assert coverage(figures, 0.3) >= (0.90 if seeds == 3 else 0.925)


def test_leaving_the_prompts_out_would_not_cover(rng):
    tables = crossed(rng, 10, 64, 0.05, 1.0)
    alone = [seed_interval(table.mean(axis=1).tolist(), unit="") for table in tables]
    assert coverage(alone, 0.3) < 0.8


@pytest.mark.parametrize("seeds", [3, 8])
def test_seeds_with_their_own_prompts(rng, seeds):
    tables = 0.3 + 0.2 * rng.standard_normal((REPEATS, seeds, 1)) + rng.standard_normal((REPEATS, seeds, 32))
    assert is_nominal(coverage([seed_prompt_interval(t, shared_prompts=False, unit="") for t in tables], 0.3))


@pytest.mark.parametrize("shared_prompts", [False, True])
def test_bootstrap_from_its_least_number_of_seeds_on(rng, shared_prompts):
    """Of a ratio, over seeds that differ and prompts of unequal length."""
    seeds, prompts = MINIMUM_SEEDS, 64
    weights = seed_prompt_weights(rng, seeds, prompts, 2000, shared_prompts=shared_prompts).reshape(2000, -1).T
    tokens = rng.integers(1, 30, size=(600, 1 if shared_prompts else seeds, prompts)) * np.ones((1, seeds, 1))
    nats = tokens * (0.2 + 0.02 * rng.standard_normal((600, seeds, 1))) + rng.gamma(2.0, 0.5, size=tokens.shape)
    nats, tokens = nats.reshape(600, -1), tokens.reshape(600, -1)
    points = (nats.sum(axis=1) / tokens.sum(axis=1)).tolist()
    samples = (nats @ weights) / (tokens @ weights)
    figures = [
        seed_bootstrap_interval(row, point, num_seeds=seeds, unit="")
        for row, point in zip(samples, points, strict=True)
    ]
    assert coverage(figures, 0.2 + 1.0 / 15.0) >= 0.91


def test_two_level_jackknife_of_a_ratio_on_shared_prompts(rng):
    seeds, prompts = 5, 32
    by_seed, by_prompt = (weights.reshape(len(weights), -1).T for weights in seed_prompt_left_out(seeds, prompts))
    tokens = rng.integers(1, 30, size=(600, 1, prompts)) * np.ones((1, seeds, 1))
    nats = tokens * (0.2 + 0.02 * rng.standard_normal((600, seeds, 1))) + rng.gamma(2.0, 0.5, size=(600, 1, prompts))
    nats, tokens = nats.reshape(600, -1), tokens.reshape(600, -1)
    groups = zip(*((nats @ weights) / (tokens @ weights) for weights in (by_seed, by_prompt)), strict=True)
    points = (nats.sum(axis=1) / tokens.sum(axis=1)).tolist()
    figures = [
        jackknife_interval(point, pair, unit="", units="seeds and prompts", scope=THIS_RECIPE)
        for point, pair in zip(points, groups, strict=True)
    ]
    assert coverage(figures, 0.2 + 1.0 / 15.0) >= 0.92


# -------------------------------------------------------------------------------------------------------------- values


def test_crossed_variance_is_that_of_the_two_way_analysis_of_variance(rng):
    """Against the mean squares of a textbook: (MS rows + MS columns - MS residual) / (rows x columns)."""
    values = rng.normal(size=(6, 9)) + 2.0 * rng.normal(size=(6, 1)) + 2.0 * rng.normal(size=(1, 9))
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    mean_squares = (
        9 * rows.var(ddof=1),
        6 * columns.var(ddof=1),
        ((values - rows[:, None] - columns + values.mean()) ** 2).sum() / 40,
    )
    expected = (mean_squares[0] + mean_squares[1] - mean_squares[2]) / 54
    wide, narrow = (crossed_interval(values, rows="a", columns="b", unit="", level=level) for level in (0.95, 0.5))
    from scipy import stats

    parts = rows.var(ddof=1) / 6, columns.var(ddof=1) / 9
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 5 + parts[1] ** 2 / 8)
    assert wide.upper - wide.value == pytest.approx(stats.t.ppf(0.975, freedom) * expected**0.5)
    assert narrow.upper - narrow.value == pytest.approx(stats.t.ppf(0.75, freedom) * expected**0.5)


def test_seeds_that_all_agree_leave_the_prompts(rng):
    """Equal rows: what is left is Student's interval over prompts."""
    row = rng.normal(size=40)
    ours, prompts = (
        seed_prompt_interval(np.tile(row, (5, 1)), shared_prompts=True, unit=""),
        mean_interval(row, unit=""),
    )
    assert (ours.lower, ours.upper) == pytest.approx((prompts.lower, prompts.upper))
    assert ours.scope == THIS_RECIPE and ours.n == 5


def test_weights_of_shared_and_own_prompts(rng):
    own = seed_prompt_weights(rng, 4, 6, 500, shared_prompts=False)
    shared = seed_prompt_weights(rng, 4, 6, 500, shared_prompts=True)
    for weights in (own, shared):
        assert weights.shape == (500, 4, 6) and np.allclose(weights.sum(axis=(1, 2)), 1.0)
    assert np.ptp(own, axis=2).max() == 0.0  # a seed's prompts come together
    by_prompt = shared / np.maximum(shared.sum(axis=2, keepdims=True), 1e-300)
    drawn = shared.sum(axis=2) > 0.0
    assert np.allclose(np.where(drawn[..., None], by_prompt - shared.sum(axis=1)[:, None, :], 0.0), 0.0)


def test_weights_leave_out_a_seed_or_a_prompt_in_all_seeds(rng):
    values = rng.normal(size=(3, 4))
    by_seed, by_prompt = seed_prompt_left_out(3, 4)
    assert (by_seed * values).sum(axis=(1, 2)) == pytest.approx([np.delete(values, s, 0).mean() for s in range(3)])
    assert (by_prompt * values).sum(axis=(1, 2)) == pytest.approx([np.delete(values, p, 1).mean() for p in range(4)])


def test_few_seeds_and_holes_are_refused(rng):
    samples = rng.normal(size=2000)
    reason = "a bootstrap over seeds needs at least 8 seeds, got 5: take the interval over the seeds' figures"
    assert seed_bootstrap_interval(samples, 0.0, num_seeds=5, unit="").reason.startswith(reason)
    assert seed_bootstrap_interval(samples[:500], 0.0, num_seeds=8, unit="") == Unresolved(
        "500 resamples of 8 seeds are too few for level 0.95: 1395 are needed"
    )
    one, hole = np.ones((1, 4)), np.array([[1.0, np.nan], [1.0, 1.0]])
    assert seed_prompt_interval(one, shared_prompts=True, unit="") == Unresolved(
        "an interval needs at least 2 seeds, got 1"
    )
    assert seed_prompt_interval(hole, shared_prompts=True, unit="") == Unresolved(
        "1 of 4 seeds x prompts has a value that is not finite"
    )
