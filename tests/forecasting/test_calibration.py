"""Calibration: its posterior against the textbook's, its intervals by simulation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

from interlace.forecasting import Start, followed_path, start_of
from interlace.forecasting.calibration import (
    Calibration,
    Composition,
    Shape,
    along_paths,
    at_a_price,
    progress_at,
)
from interlace.forecasting.experience import ELSEWHERE, ON_PATHS
from interlace.theory.paths import PathOptions
from tests.forecasting.starts import make_start

SHAPES = [
    Shape("curve", lambda gains, progress: gains**2, 1.0, 0.5, scales=False),
    Shape("excess", lambda gains, progress: gains, 0.5, 1.0),
]
SCATTER, UNEVENNESS = 0.05, 0.5
MADE_OF = Composition(SHAPES, SCATTER, UNEVENNESS)
NOW = np.ones(1)


def below(probes: np.ndarray, gains: np.ndarray, changes: np.ndarray, at: float) -> np.ndarray:
    """P(look <= probe) by brute force: a grid of both weights, the stage's factor by quadrature over its prior."""
    first, second = np.meshgrid(np.linspace(-2, 4, 241), np.linspace(-9, 12, 561), indexing="ij")
    misfit = ((changes - first[..., None] * gains**2 - second[..., None] * gains) ** 2).sum(axis=-1)
    centre = first * at**2 + second * at
    weight, total = 0.0, np.zeros(probes.size)
    for node in np.linspace(-2.5, 2.5, 60):
        factor = np.exp(UNEVENNESS * node)
        scatter = SCATTER * factor
        prior = -0.5 * ((first - 1.0) / 0.5) ** 2 - 0.5 * ((second / factor - 0.5) / 1.0) ** 2 - np.log(factor)
        density = np.exp(prior - 0.5 * misfit / scatter**2 - 0.5 * node**2) / scatter**gains.size
        weight += density.sum()
        total += [(density * stats.norm.cdf((probe - centre) / scatter)).sum() for probe in probes]
    return total / weight


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_the_posterior_is_bayes_rule(looks: int) -> None:
    gains, changes = np.array([0.05, 0.12, 0.2])[:looks], np.array([0.06, 0.1, 0.22])[:looks]
    draws = Calibration(MADE_OF, gains, gains, changes).draws(
        np.full((400_000, 1), 0.4), NOW, np.random.default_rng(1)
    )[:, 0]
    levels = [0.025, 0.3, 0.7, 0.975]
    assert below(np.quantile(draws, levels), gains, changes, 0.4) == pytest.approx(levels, abs=0.006)


@pytest.mark.parametrize("looks", [0, 1, 4])
def test_intervals_hold_what_comes_where_the_prior_is_true(looks: int) -> None:
    """Coverage over 2,000 runs drawn from the prior itself, 95 % nominal."""
    rng, held = np.random.default_rng(looks), 0
    gains, repetitions = np.linspace(0.05, 0.2, 4)[:looks], 2000
    for _ in range(repetitions):
        factor = np.exp(UNEVENNESS * rng.normal())
        scatter = SCATTER * factor
        weights = [rng.normal(shape.mean, shape.spread) * (factor if shape.scales else 1.0) for shape in SHAPES]

        def look(at: np.ndarray, weights: list[float] = weights, scatter: float = scatter) -> np.ndarray:
            smooth = sum(weight * shape.at(at, at) for weight, shape in zip(weights, SHAPES, strict=True))
            return np.asarray(smooth + scatter * rng.normal(size=at.shape))

        seen, truth = look(gains), look(np.array([0.35]))[0]
        draws = Calibration(MADE_OF, gains, gains, seen).draws(np.full((400, 1), 0.35), NOW, rng)[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        held += low <= truth <= high
    assert held / repetitions == pytest.approx(0.95, abs=0.02)


def test_a_task_that_is_not_trained_on_has_no_path() -> None:
    """Its price per unit of reward is a shape of its own, give or take as much again; the rest is the same."""
    free, dear = (at_a_price(price, ELSEWHERE["averaged"]).shapes for price in (0.0, 2.0))
    assert [shape.name for shape in free[:3]] == ["excess", "drift", "step"]
    assert (dear[0].mean, dear[0].spread, dear[0].scales) == (2.0, 2.0, False)
    assert [shape.name for shape in dear[1:]] == [shape.name for shape in free]
    gains, progress = np.array([0.1, 0.2]), np.array([0.5, 1.0])
    found = [shape.at(gains, progress).tolist() for shape in dear[:4]]
    assert found == [[0.1, 0.2], [0.1, 0.2], [0.5, 1.0], [1.0, 1.0]]


def test_what_wanders_is_a_brownian_motion_in_progress() -> None:
    """Its covariance at progress s and t is min(s, t), up to the terms that are left out."""
    progress = np.linspace(0.0, 1.0, 21)
    waves = np.stack([shape.at(progress, progress) for shape in at_a_price(0.0, ELSEWHERE["raw"]).shapes[3:]])
    left_out = 2.0 / (np.pi**2 * len(waves))
    assert waves.T @ waves == pytest.approx(np.minimum.outer(progress, progress), abs=left_out)
    spreads = {shape.spread for shape in at_a_price(0.0, ELSEWHERE["raw"]).shapes[3:]}
    assert spreads == {ELSEWHERE["raw"].wander}


def test_the_evidence_is_the_density_of_the_looks() -> None:
    """Against the normal density of the looks at each scatter, by quadrature over the scatter's prior."""
    gains, changes = np.array([0.05, 0.12, 0.2]), np.array([0.06, 0.1, 0.22])
    design = np.stack([shape.at(gains, gains) for shape in SHAPES], axis=-1)
    nodes = np.linspace(-2.5, 2.5, 2001)

    def density(factor: float) -> float:
        scale = np.array([factor if shape.scales else 1.0 for shape in SHAPES])
        mean = design @ (scale * [shape.mean for shape in SHAPES])
        spread = design * (scale * [shape.spread for shape in SHAPES])
        covariance = spread @ spread.T + (SCATTER * factor) ** 2 * np.eye(3)
        return float(stats.multivariate_normal(mean, covariance).pdf(changes))

    densities = [density(factor) for factor in np.exp(UNEVENNESS * nodes).tolist()]
    expected = np.average(densities, weights=np.exp(-0.5 * nodes**2))
    assert Calibration(MADE_OF, gains, gains, changes).log_evidence() == pytest.approx(np.log(expected), abs=5e-3)


def test_an_average_lags_behind_weights_that_move_evenly() -> None:
    """Against the recursion itself: average <- d average + (1 - d) weights, weights at step t being t."""
    decay, average, seen = 0.9, 0.0, []
    for step in range(1, 41):
        average = decay * average + (1.0 - decay) * step
        seen.append(average)
    found = progress_at(np.arange(1.0, 41.0), 40, decay)
    assert found == pytest.approx(np.array(seen) / seen[-1])
    assert progress_at(np.array([10.0]), 40) == pytest.approx([0.25])


def test_a_path_is_mirrored_before_its_start_and_straight_beyond_what_is_trusted() -> None:
    """At a policy that has hardly begun, whose curve falls steeply within a hundredth of reward."""
    held, scores = make_start(np.random.default_rng(0), 20, other=0.99)
    start = start_of(held, scores)
    assert isinstance(start, Start)
    curve = followed_path(start, "systematic", PathOptions())
    (shape, *_) = along_paths([curve], ON_PATHS["raw"]).shapes
    at = partial(shape.at, progress=np.ones(1))
    small = np.array([0.001])
    assert at(-small) == pytest.approx(-at(small)) and float(at(small)[0]) < 0.0
    whole = float(curve.reward[-1] - curve.reward[0])
    last, further, furthest = (float(at(np.array([share * whole]))[0]) for share in (0.95, 0.97, 0.99))
    assert furthest - further == pytest.approx(further - last, rel=1e-6)
