"""The statistic of the flag on the gradient angle: unbiased, and wrong no more often than its level says."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.estimate import Estimate
from interlace.flags.gradient_angle import excess_over
from interlace.measurement import GradientProducts

LOSS, REWARD = np.array([0.5, 0.3, 0.0, 0.0]), np.array([1.0, 0.0, 0.4, 0.0])
BOUNDARY = float(LOSS @ REWARD / (REWARD @ REWARD))
"""The price at which <grad L, grad R> - price norm(grad R)^2 is 0."""


def products(rng: np.random.Generator, parts: int, noise: float) -> GradientProducts:
    loss, reward = (mean + noise * rng.standard_normal((parts, mean.size)) for mean in (LOSS, REWARD))
    return GradientProducts(loss @ loss.T, reward @ reward.T, loss @ reward.T)


def test_without_noise_it_is_the_difference_itself() -> None:
    found = excess_over(products(np.random.default_rng(0), 3, 0.0), 0.2, 0.95)
    expected = LOSS @ REWARD - 0.2 * REWARD @ REWARD
    assert isinstance(found, Estimate) and found.value == pytest.approx(expected) == found.lower == found.upper


def test_it_is_unbiased_under_noise() -> None:
    """The plain norm of the mean would be too large by the noise's trace over the parts (C2)."""
    rng = np.random.default_rng(0)
    values = [figure_of(rng, 4, BOUNDARY, 0.95).value for _ in range(1000)]
    assert np.mean(values) == pytest.approx(0.0, abs=4.0 * np.std(values) / np.sqrt(len(values)))


@pytest.mark.parametrize("parts", [4, 12])
@pytest.mark.parametrize("level", [0.9, 0.98])
def test_at_the_boundary_it_is_raised_no_more_often_than_promised(parts: int, level: float) -> None:
    rng, runs = np.random.default_rng(1), 1000
    hits = sum(figure_of(rng, parts, BOUNDARY, level).lower > 0.0 for _ in range(runs))
    error = (1.0 - level) / 2.0
    print(f"{parts} parts, level {level}: {hits / runs:.4f} of {error:.4f}")
    assert hits / runs <= error + 3.0 * np.sqrt(error / runs)


def figure_of(rng: np.random.Generator, parts: int, price: float, level: float) -> Estimate:
    found = excess_over(products(rng, parts, 1.0), price, level)
    assert isinstance(found, Estimate)
    return found
