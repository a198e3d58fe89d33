"""Curves along a run: what the smoother reproduces, what it chooses, and what resampled means scatter like."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.statistics import Segments, choose_smoother, resampled_means
from interlace.statistics.smoothing import local_polynomial

PLACES = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 9.0, 11.0, 12.0])


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("span", [4, 6, 10])
def test_polynomials_of_its_degree_pass_unchanged(degree: int, span: int) -> None:
    counts = np.linspace(1.0, 3.0, len(PLACES))
    matrix = local_polynomial(PLACES, counts, span, degree)
    for power in range(degree + 1):
        np.testing.assert_allclose(matrix @ PLACES**power, PLACES**power, atol=1e-8)


def test_a_local_line_is_weighted_least_squares() -> None:
    counts, span = np.arange(1.0, 11.0), 6
    values = np.sin(PLACES)
    near = np.argsort(np.abs(PLACES - PLACES[3]), kind="stable")[:span]
    offset = PLACES[near] - PLACES[3]
    weight = counts[near] * (1.0 - (np.abs(offset) / (1.001 * np.abs(offset).max())) ** 3) ** 3
    slope, level = np.polyfit(offset, values[near], 1, w=np.sqrt(weight))
    assert (local_polynomial(PLACES, counts, span, 1) @ values)[3] == pytest.approx(level)
    assert slope != 0.0


def test_noise_decides_the_width() -> None:
    rng = np.random.default_rng(0)
    places, counts = np.arange(60.0), np.ones(60)
    line = 0.01 * places
    spans = [
        choose_smoother(places, line + noise * rng.normal(size=60), noise**2 * np.eye(60), counts).span
        for noise in (0.3, 0.3, 0.3)
    ]
    assert min(spans) >= 8
    wave = np.sin(places)
    assert choose_smoother(places, wave, 1e-8 * np.eye(60), counts).span == 1
    shared = np.full((60, 60), 0.25)
    assert choose_smoother(places, wave + 0.5, shared, counts).span == 1


def test_few_points_are_left_as_they_are() -> None:
    smooth = choose_smoother(np.arange(3.0), np.arange(3.0), np.eye(3), np.ones(3))
    assert smooth.span == 1
    np.testing.assert_array_equal(smooth(np.ones((5, 3))), np.ones((5, 3)))


def test_resampled_means_scatter_as_means_of_new_prompts_do() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 1))
    part = Segments(np.arange(30), np.array([0, 12]), values)
    (means,) = resampled_means([part], 30, rng, 20_000)
    for segment, own in enumerate((values[:12, 0], values[12:, 0])):
        assert means[:, segment, 0].std() == pytest.approx(own.std(ddof=1) / np.sqrt(len(own)), rel=0.03)
        assert means[:, segment, 0].mean() == pytest.approx(own.mean(), abs=0.01)
    assert abs(np.corrcoef(means[..., 0].T)[0, 1]) < 0.03


def test_a_prompt_counts_alike_wherever_it_stands() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10, 1))
    both = Segments(np.tile(np.arange(10), 2), np.array([0, 10]), np.concatenate([values, values + 3.0]))
    alone = Segments(np.arange(10), np.array([0]), values)
    means, again = resampled_means([both, alone], 10, rng, 100)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 3.0)
    np.testing.assert_allclose(means[:, 0], again[:, 0])
