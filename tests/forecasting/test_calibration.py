"""Calibration: its posterior against the textbook's, its intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.forecasting.calibration import CERTAINTY, SCATTER, Calibration, Shape, drift_shapes

SHAPES = [
    Shape("curve", lambda gains: gains**2, 1.0, 0.5),
    Shape("excess", lambda gains: gains, 0.5, 1.0),
]


def test_before_any_look_the_prior_is_the_forecast() -> None:
    """Mean and variance of a draw: prior mean, and scatter^2 (1 + x' V x) of a Student t with CERTAINTY degrees."""
    none = np.zeros(0)
    draws = Calibration(SHAPES, none, none).draws(np.full((400_000, 1), 0.3), np.random.default_rng(0))[:, 0]
    mean, variance = 0.3**2 * 1.0 + 0.3 * 0.5, 0.3**4 * 0.5**2 + 0.3**2 * 1.0**2 + SCATTER**2
    expected = stats.t(CERTAINTY, loc=mean, scale=np.sqrt(variance))
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.mean(draws < expected.ppf(level)) == pytest.approx(level, abs=0.004)


def test_the_posterior_is_the_conjugate_one() -> None:
    """Against Bayes' rule on a grid of the two weights, the scatter integrated by quadrature over its prior."""
    gains = np.array([0.05, 0.12, 0.2])
    changes = np.array([0.06, 0.1, 0.22])
    draws = Calibration(SHAPES, gains, changes).draws(np.full((400_000, 1), 0.4), np.random.default_rng(1))[:, 0]

    first, second = np.meshgrid(np.linspace(-2, 4, 301), np.linspace(-4, 5, 301), indexing="ij")
    spread = ((first - 1.0) / 0.5) ** 2 + ((second - 0.5) / 1.0) ** 2
    misfit = ((changes - first[..., None] * gains**2 - second[..., None] * gains) ** 2).sum(axis=-1)
    variances = CERTAINTY * SCATTER**2 / stats.chi2(CERTAINTY).ppf((np.arange(400) + 0.5) / 400)
    probes = np.quantile(draws, [0.05, 0.3, 0.7, 0.95])
    weight, below = 0.0, np.zeros(4)
    for variance in variances:
        # the prior of the weights is in units of the scatter: their variance is (spread / SCATTER)^2 variance
        factor = variance / SCATTER**2
        density = np.exp(-0.5 * spread / factor - 0.5 * misfit / variance) / (factor * variance ** (gains.size / 2))
        centre = first * 0.4**2 + second * 0.4
        weight += density.sum()
        below += [(density * stats.norm.cdf((probe - centre) / np.sqrt(variance))).sum() for probe in probes]
    assert below / weight == pytest.approx([0.05, 0.3, 0.7, 0.95], abs=0.01)


@pytest.mark.parametrize("looks", [0, 1, 4])
def test_intervals_hold_what_comes_where_the_prior_is_true(looks: int) -> None:
    """Coverage over 2,000 runs drawn from the prior itself, 95 % nominal."""
    rng, held = np.random.default_rng(looks), 0
    gains, repetitions = np.linspace(0.05, 0.2, 4)[:looks], 2000
    for _ in range(repetitions):
        scatter = SCATTER * np.sqrt(CERTAINTY / rng.chisquare(CERTAINTY))
        weights = [rng.normal(shape.mean, shape.spread * scatter / SCATTER) for shape in SHAPES]

        def look(at: np.ndarray, weights: list[float] = weights, scatter: float = scatter) -> np.ndarray:
            smooth = sum(weight * shape.at(at) for weight, shape in zip(weights, SHAPES, strict=True))
            return np.asarray(smooth + scatter * rng.normal(size=at.shape))

        seen, truth = look(gains), look(np.array([0.35]))[0]
        draws = Calibration(SHAPES, gains, seen).draws(np.full((400, 1), 0.35), rng)[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        held += low <= truth <= high
    assert held / repetitions == pytest.approx(0.95, abs=0.02)


def test_a_task_that_is_not_trained_on_has_no_path() -> None:
    """Its price per unit of reward moves the mean of the excess, and nothing else."""
    cheap, dear = (drift_shapes(price, is_averaged=True) for price in (0.0, 2.0))
    assert [shape.name for shape in cheap] == ["excess", "step"]
    assert dear[0].mean - cheap[0].mean == 2.0
    assert dear[1].at(np.array([0.1, 0.2])).tolist() == [1.0, 1.0]
