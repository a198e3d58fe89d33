"""The signal share from successive gradients: convergence to the truth, and coverage where gradients are drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.statistics import noise_scale
from interlace.statistics.successive import RunningShare, batch_for_share, share_over_blocks

DIMENSIONS = 40


def drawn(rng: np.random.Generator, count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Products and squares of `count` successive gradients, mean squared norm 1, of which `share` is signal."""
    mean = np.full(DIMENSIONS, np.sqrt(share / DIMENSIONS))
    gradients = mean + rng.normal(size=(count + 1, DIMENSIONS)) * np.sqrt((1.0 - share) / DIMENSIONS)
    norms = (gradients**2).sum(axis=1)
    return (gradients[1:] * gradients[:-1]).sum(axis=1), (norms[1:] + norms[:-1]) / 2.0


def running(products: np.ndarray, squares: np.ndarray, decay: float = 0.9) -> RunningShare:
    found = RunningShare(decay)
    for product, square in zip(products.tolist(), squares.tolist(), strict=True):
        found = found.added(product, square)
    return found


def test_C9_running_share_is_the_weighted_ratio_with_its_linearised_error() -> None:
    """Weights written out: decay^age; the error by residuals, one by one."""
    products, squares = drawn(np.random.default_rng(0), 30, 0.3)
    figure = running(products, squares, 0.8).figure()
    assert isinstance(figure, Estimate)
    weights = 0.8 ** np.arange(29, -1, -1)
    value = (weights @ products) / (weights @ squares)
    worth = weights.sum() ** 2 / (weights**2).sum()
    residuals = weights * (products - value * squares)
    error = np.sqrt((residuals**2).sum() * worth / (worth - 1)) / (weights @ squares)
    half = stats.t.ppf(0.975, worth - 1) * error
    assert (figure.value, figure.lower, figure.upper) == pytest.approx((value, value - half, value + half), rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.8])
def test_C9_share_converges_and_its_intervals_cover(share: float) -> None:
    rng = np.random.default_rng(1)
    long = running(*drawn(rng, 8000, share), decay=0.9999).figure()
    assert isinstance(long, Estimate) and long.value == pytest.approx(share, abs=0.015)
    now, stage = [], []
    for _ in range(300):
        products, squares = drawn(rng, 100, share)
        now.append(running(products, squares).figure())
        stage.append(share_over_blocks(products.reshape(20, 5).sum(1), squares.reshape(20, 5).sum(1)))
    for figures, least in ((now, 0.8 if share > 0.5 else 0.86), (stage, 0.91)):
        assert np.mean([figure.covers(share) for figure in figures]) >= least


def test_a_share_is_unresolved_without_two_products_or_any_gradient() -> None:
    empty = RunningShare(0.9)
    for found in (empty, empty.added(1.0, 2.0), empty.added(0.0, 0.0).added(0.0, 0.0)):
        assert isinstance(found.figure(), Unresolved)
    assert isinstance(empty.added(1.0, 2.0).added(float("nan"), 2.0).figure(), Unresolved)
    assert isinstance(share_over_blocks(np.ones(5), np.ones(5)), Unresolved)
    assert isinstance(share_over_blocks(np.zeros(8), np.zeros(8)), Unresolved)


def test_a_share_survives_json() -> None:
    found = running(*drawn(np.random.default_rng(2), 7, 0.5))
    assert RunningShare(0.9).from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_batch_of_half_signal_is_the_noise_scale() -> None:
    """Against `noise_scale`, from parts of 16 prompts: the batch in which signal and noise are equal."""
    rng = np.random.default_rng(3)
    parts = 1.0 + rng.normal(size=(12, DIMENSIONS))
    scale = noise_scale(parts @ parts.T, prompts_per_part=16)
    share = Estimate(0.5, 0.4, 0.6, 0.95, 9, "t", "fraction")
    batch = batch_for_share(share, 0.5, 16)
    assert isinstance(scale, Estimate) and isinstance(batch, Estimate)
    assert batch.value == 16.0 and scale.covers(batch.value)
    for wanted in (0.2, 0.9):
        signal, noise = 1.0, 16.0  # a share of half at 16 prompts: N/16 = S
        found = batch_for_share(share, wanted, 16)
        assert isinstance(found, Estimate)
        assert signal / (signal + noise / found.value) == pytest.approx(wanted)
    assert str(batch_for_share(Estimate(0.1, -0.1, 0.2, 0.95, 9, "t", "fraction"), 0.5, 16)) == (
        "not resolved: the signal is not clearly positive: at least 64 prompts"
    )
