from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.estimate import Unresolved
from interlace.statistics.bootstrap import ENDPOINTS, MINIMUM_PROMPTS, bootstrap_interval, prompt_weights
from interlace.statistics.intervals import mean_interval, ratio_interval

from .simulation import coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_weights_are_resampled_prompts(rng):
    weights = prompt_weights(rng, 50, 4000)
    assert weights.shape == (4000, 50) and np.allclose(weights.sum(axis=1), 1.0)
    assert np.allclose(weights * 50, np.round(weights * 50), rtol=1e-12)
    assert np.allclose(weights.mean(axis=0), 1 / 50, atol=0.002)
    assert (weights * 50).var() == pytest.approx(1 - 1 / 50, rel=0.02)


def test_the_same_generator_gives_the_same_weights():
    first, second = (prompt_weights(np.random.default_rng(7), 20, 10) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("kind", list(ENDPOINTS))
def test_coverage_of_a_mean_and_of_a_ratio(rng, kind):
    weights = prompt_weights(rng, 128, 1000)
    tokens = rng.integers(1, 30, size=(1000, 128)) * 1.0
    nats = tokens * 0.2 + rng.gamma(2.0, 0.5, size=tokens.shape)
    means, lengths = nats @ weights.T, tokens @ weights.T

    def figures(samples, points):
        pairs = zip(samples, points.tolist(), strict=True)
        return [bootstrap_interval(row, point, num_prompts=128, unit="nats", kind=kind) for row, point in pairs]

    assert is_nominal(coverage(figures(means, nats.mean(axis=1)), 4.0))
    assert is_nominal(coverage(figures(means / lengths, nats.mean(axis=1) / tokens.mean(axis=1)), 4.0 / 15.0))


def test_agrees_with_the_closed_forms(rng):
    values, tokens = rng.gamma(2.0, 1.0, 300), rng.integers(1, 9, 300) * 1.0
    weights = prompt_weights(rng, 300, 4000)
    mean = bootstrap_interval(weights @ values, float(values.mean()), num_prompts=300, unit="")
    ratio = bootstrap_interval(
        (weights @ values) / (weights @ tokens), float(values.sum() / tokens.sum()), num_prompts=300, unit=""
    )
    for ours, closed in ((mean, mean_interval(values, unit="")), (ratio, ratio_interval(values, tokens, unit=""))):
        assert ours.upper - ours.lower == pytest.approx(closed.upper - closed.lower, rel=0.08)


def test_method_says_which_and_whether_it_was_stretched():
    samples, many = np.linspace(0.0, 1.0, 1001), 100_000  # many prompts: the quantiles are the level's own
    percentile = bootstrap_interval(samples, 0.4, num_prompts=many, unit="nats")
    assert (percentile.lower, percentile.upper) == pytest.approx((0.025, 0.975), abs=1e-4)
    assert percentile.method == "percentile bootstrap over prompts, 1001 resamples"
    basic = bootstrap_interval(samples, 0.4, num_prompts=many, unit="nats", kind="basic")
    assert (basic.lower, basic.upper) == pytest.approx((-0.175, 0.775), abs=1e-4) and basic.method.startswith("basic")
    outside = bootstrap_interval(samples, 2.0, num_prompts=many, unit="nats")
    assert outside.upper == 2.0 and outside.method.endswith("stretched to its point")


@pytest.mark.parametrize("kind", list(ENDPOINTS))
def test_few_prompts_have_students_width(rng, kind):
    """Resampled means of normal values have a normal law of variance s^2 (n - 1) / n^2, to a good approximation."""
    values = rng.normal(size=MINIMUM_PROMPTS)
    samples = prompt_weights(rng, MINIMUM_PROMPTS, 200_000) @ values
    ours = bootstrap_interval(samples, float(values.mean()), num_prompts=MINIMUM_PROMPTS, unit="", kind=kind)
    student = mean_interval(values, unit="")
    assert ours.upper - ours.lower == pytest.approx(student.upper - student.lower, rel=0.05)


def test_few_prompts_are_covered_from_the_least_number_on(rng):
    """Gamma(2) losses, a skewness of 1.4."""
    weights = prompt_weights(rng, MINIMUM_PROMPTS, 1000)
    losses = rng.gamma(2.0, 0.5, size=(3000, MINIMUM_PROMPTS))
    rows = zip(losses @ weights.T, losses.mean(axis=1).tolist(), strict=True)
    figures = [bootstrap_interval(row, point, num_prompts=MINIMUM_PROMPTS, unit="nats") for row, point in rows]
    assert coverage(figures, 1.0) >= 0.92


@pytest.mark.parametrize(
    ("samples", "point", "num_prompts", "reason"),
    [
        (np.ones(1000), math.nan, 12, "the figure itself is nan"),
        (np.append(np.ones(998), [np.inf, np.nan]), 1.0, 12, "2 of 1000 resamples are not finite"),
        (np.ones(1000), 1.0, 11, "a bootstrap interval needs at least 12 prompts, got 11"),
        (np.ones(739), 1.0, 12, "739 resamples of 12 prompts are too few for level 0.95: 744 are needed"),
    ],
)
def test_what_cannot_be_had_is_unresolved_with_its_reason(samples, point, num_prompts, reason):
    assert bootstrap_interval(samples, point, num_prompts=num_prompts, unit="") == Unresolved(reason)
