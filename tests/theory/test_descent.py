"""D12: first-order statements on two gradients, against explicit vectors and finite steps on quadratics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.errors import DataError
from interlace.theory.frontier import (
    descent_window,
    least_norm_direction,
    pcgrad_rates,
    projected_rates,
    step_limit,
)

cosines = st.floats(-0.999, 0.999)
norms = st.floats(-2.0, 2.0).map(lambda exponent: 10.0**exponent)
seeds = st.integers(0, 2**32 - 1)


def pair(cosine, norm_sft, norm_rl, seed=0, dimension=7):
    """Two vectors of that cosine and those norms, in any direction."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, 2)))
    sine = math.sqrt(1.0 - cosine * cosine)
    return norm_sft * basis[:, 0], norm_rl * (cosine * basis[:, 0] + sine * basis[:, 1])


def off(g, other):
    """g without its part along `other`."""
    return g - (g @ other) / (other @ other) * other


@given(st.floats(-0.999, -0.001), norms, norms, seeds)
def test_D12_inside_the_window_both_fall_and_outside_one_rises(cosine, norm_sft, norm_rl, seed):
    g1, g2 = pair(cosine, norm_sft, norm_rl, seed)
    window = descent_window(cosine, norm_sft, norm_rl)
    assert window.lower == pytest.approx(-cosine * norm_sft / norm_rl, rel=1e-12)
    assert window.upper == pytest.approx(norm_sft / (-cosine * norm_rl), rel=1e-12)
    for share in (0.01, 0.5, 0.99):
        d = g1 + (window.lower + share * (window.upper - window.lower)) * g2
        assert g1 @ d > 0.0 and g2 @ d > 0.0
    assert g2 @ (g1 + 0.999 * window.lower * g2) < 0.0 < g1 @ (g1 + 0.999 * window.lower * g2)
    assert g1 @ (g1 + 1.001 * window.upper * g2) < 0.0 < g2 @ (g1 + 1.001 * window.upper * g2)


@given(st.floats(0.0, 1.0), norms, norms, norms)
def test_D12_without_conflict_every_mixture_lowers_both(cosine, norm_sft, norm_rl, mixture):
    assert descent_window(cosine, norm_sft, norm_rl) == (0.0, math.inf)
    g1, g2 = pair(cosine, norm_sft, norm_rl)
    assert g1 @ (g1 + mixture * g2) > 0.0 and g2 @ (g1 + mixture * g2) > 0.0


@given(norms, norms)
def test_D12_the_window_is_empty_at_opposite_gradients_alone(norm_sft, norm_rl):
    """Equality: c = -1, where every method fails."""
    window = descent_window(-1.0, norm_sft, norm_rl)
    assert window.lower == window.upper
    for rates in (pcgrad_rates(-1.0, norm_sft, norm_rl), projected_rates(-1.0, norm_sft, norm_rl)):
        assert rates == (0.0, 0.0)
    assert least_norm_direction(-1.0, norm_sft, norm_rl).norm == 0.0
    assert least_norm_direction(-1.0, norm_sft, norm_rl).sft_share == pytest.approx(norm_rl / (norm_sft + norm_rl))
    for cosine in (-0.999, -0.5):
        narrow = descent_window(cosine, norm_sft, norm_rl)
        assert narrow.lower < narrow.upper
        assert min(pcgrad_rates(cosine, norm_sft, norm_rl)) > 0.0
        assert projected_rates(cosine, norm_sft, norm_rl).reward > 0.0
        assert least_norm_direction(cosine, norm_sft, norm_rl).norm > 0.0


@given(cosines, norms, norms, seeds)
def test_D12_pcgrad_moves_each_at_its_square_times_the_sine_square(cosine, norm_sft, norm_rl, seed):
    g1, g2 = pair(cosine, norm_sft, norm_rl, seed)
    d = off(g1, g2) + off(g2, g1) if cosine < 0.0 else g1 + g2
    rates = pcgrad_rates(cosine, norm_sft, norm_rl)
    scale = (norm_sft + norm_rl) ** 2
    assert rates.sft == pytest.approx(g1 @ d, rel=1e-9, abs=1e-12 * scale)
    assert rates.reward == pytest.approx(g2 @ d, rel=1e-9, abs=1e-12 * scale)
    if cosine < 0.0:
        assert rates.sft == pytest.approx(norm_sft**2 * (1.0 - cosine**2), rel=1e-12)


@given(cosines, norms, norms, seeds)
def test_D12_one_sided_projection_leaves_sft_loss_and_raises_reward(cosine, norm_sft, norm_rl, seed):
    g1, g2 = pair(cosine, norm_sft, norm_rl, seed)
    rates = projected_rates(cosine, norm_sft, norm_rl)
    assert rates.sft == 0.0 == pytest.approx(g1 @ off(g2, g1), abs=1e-12 * norm_sft * norm_rl)
    assert rates.reward == pytest.approx(g2 @ off(g2, g1), rel=1e-9)


@given(st.floats(-1.0, 1.0), norms, norms, seeds)
def test_D12_shortest_direction_moves_both_at_its_square_at_least(cosine, norm_sft, norm_rl, seed):
    g1, g2 = pair(cosine, norm_sft, norm_rl, seed)
    least = least_norm_direction(cosine, norm_sft, norm_rl)
    grid = np.linspace(0.0, 1.0, 2001)
    lengths = np.linalg.norm(grid[:, None] * g1 + (1.0 - grid)[:, None] * g2, axis=1)
    assert least.norm <= lengths.min() + 1e-9 * lengths.max()
    assert least.norm == pytest.approx(lengths.min(), rel=1e-2, abs=1e-3 * lengths.max())
    d = least.sft_share * g1 + (1.0 - least.sft_share) * g2
    scale = 1e-9 * (norm_sft + norm_rl) ** 2
    assert d @ d == pytest.approx(least.norm**2, rel=1e-6, abs=scale)
    assert min(g1 @ d, g2 @ d) >= least.norm**2 - scale
    if 0.0 < least.sft_share < 1.0:  # equality: both alike
        assert g1 @ d == pytest.approx(g2 @ d, rel=1e-6, abs=scale)


def test_D12_shortest_direction_of_equal_gradients_is_either():
    assert least_norm_direction(1.0, 2.0, 2.0).norm == 2.0
    assert least_norm_direction(0.9, 1.0, 5.0) == (1.0, 1.0)  # the shorter itself: c above 1/5
    assert least_norm_direction(0.9, 5.0, 1.0) == (0.0, 1.0)


@given(st.floats(0.05, 20.0), st.floats(0.05, 20.0), seeds)
def test_D12_step_limit_is_where_a_quadratic_is_back_at_its_start(smoothness, scale, seed):
    """Equality for curvature l along d; strictly inside for any smaller curvature."""
    g, d = np.random.default_rng(seed).normal(size=(2, 5)) * scale
    d = d if g @ d > 0.0 else -d
    limit = step_limit(float(g @ d), smoothness, float(np.linalg.norm(d)))

    def change(step, curvature):
        return -step * (g @ d) + 0.5 * curvature * step**2 * (d @ d)

    assert change(limit, smoothness) == pytest.approx(0.0, abs=1e-9 * abs(limit * (g @ d)))
    assert change(0.99 * limit, smoothness) < 0.0 < change(1.01 * limit, smoothness)
    assert change(limit, 0.9 * smoothness) < 0.0  # a limit that certainly does, not one that must hold


def test_D12_is_first_order():
    """Condition violated: beyond the limit a direction of descent raises the objective."""
    g, d = np.array([1.0, 0.0]), np.array([1.0, 0.5])
    limit = step_limit(float(g @ d), 2.0, float(np.linalg.norm(d)))
    theta = -1.1 * limit * d
    assert g @ theta + theta @ theta > 0.0


def test_D12_projecting_before_adam_voids_it():
    """Condition violated: a projection in the plain metric, then a preconditioner; in its metric SFT loss stays."""
    g1, g2 = np.array([1.0, 1.0]), np.array([-2.0, 1.0])
    preconditioner = np.array([1.0, 0.1])
    assert g1 @ (preconditioner * off(g2, g1)) < -1.0  # SFT loss rises
    update = preconditioner * g2
    in_metric = update - (g1 @ update) / (g1 @ (preconditioner * g1)) * preconditioner * g1
    assert g1 @ in_metric == pytest.approx(0.0, abs=1e-15) and g2 @ in_metric > 0.0
    root = np.sqrt(preconditioner)
    a, b = root * g1, root * g2
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    rates = projected_rates(float(cosine), float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    assert rates.reward == pytest.approx(g2 @ in_metric, rel=1e-12)


def test_D12_figures_may_be_arrays():
    cosine = np.array([-0.5, 0.0, 0.5, -1.0])
    window = descent_window(cosine, 2.0, 1.0)
    assert window.lower.tolist() == [1.0, 0.0, 0.0, 2.0] and window.upper.tolist() == [4.0, math.inf, math.inf, 2.0]
    grid = np.array([[1.0], [2.0]])
    for function in (descent_window, pcgrad_rates, projected_rates, least_norm_direction):
        parts = function(cosine, grid, 1.0)
        assert all(part.shape == (2, 4) for part in parts)
        assert all(type(part) is float for part in function(-0.5, 2.0, 1.0))
        assert [part[1, 0] for part in parts] == pytest.approx(list(function(-0.5, 2.0, 1.0)))
    assert step_limit(1.0, np.array([1.0, 2.0]), 1.0).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, 1.0, 1.0), r"cosine must be in \[-1, 1\]\. Got 1\.5\."),
        ((math.nan, 1.0, 1.0), r"cosine must be in \[-1, 1\]\. Got nan\."),
        ((-0.5, 0.0, 1.0), r"norm_sft must be positive and finite\. Got 0\.0\."),
        ((-0.5, 1.0, math.inf), r"norm_rl must be positive and finite\. Got inf\."),
    ],
)
def test_D12_refuses_figures_that_are_none(arguments, message):
    for function in (descent_window, pcgrad_rates, projected_rates, least_norm_direction):
        with pytest.raises(DataError, match=message):
            function(*arguments)


@pytest.mark.parametrize("name", ["inner_product", "smoothness", "update_norm"])
def test_D12_step_limit_refuses_what_is_not_positive(name):
    with pytest.raises(DataError, match=rf"{name} must be positive and finite\. Got -1\.0\."):
        step_limit(**{"inner_product": 1.0, "smoothness": 1.0, "update_norm": 1.0, name: -1.0})
