"""Gradients combined: each method's shares against the optimisation problem that defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls

from interlace.methods import METHODS, Method, Plan, build_method
from interlace.methods.combining import Combining

PLAN = Plan("t", "t", 10, 4, 8, 32, 0)
CONFLICT = np.array([[1.0, 0.2, -0.5, 0.0, 2.0], [-1.5, 0.4, 0.1, 0.3, -0.6]])
AGREEMENT = np.array([[1.0, 0.2, -0.5, 0.0, 2.0], [0.5, 0.4, 0.1, 0.3, 0.6]])
PAIRS = pytest.mark.parametrize("pair", [CONFLICT, AGREEMENT, CONFLICT[::-1]], ids=["conflict", "agreement", "swapped"])


def combined(name: str, pair: np.ndarray, lengths: np.ndarray | None = None, **options: object) -> np.ndarray:
    """The method's update over two parameters, of 2 and 3 entries."""
    method = build_method({"name": name, **options}, PLAN)
    assert isinstance(method, Combining)
    steps = np.ones(5) if lengths is None else lengths
    split = [{"a": torch.tensor(row[:2]), "b": torch.tensor(row[2:])} for row in (pair[0], pair[1], steps)]
    found = method.combine(*split)
    return np.concatenate([found["a"].numpy(), found["b"].numpy()])


@PAIRS
def test_pcgrad_is_the_sum_of_projections(pair: np.ndarray) -> None:
    one, other = pair
    dot = one @ other
    expected = one + other
    if dot < 0:
        expected = (one - dot / (other @ other) * other) + (other - dot / (one @ one) * one)
    np.testing.assert_allclose(combined("pcgrad", pair), expected, atol=1e-12)


@PAIRS
def test_upgrad_is_the_mean_of_projections_onto_the_dual_cone(pair: np.ndarray) -> None:
    """The nearest d to g with <g_i, d> >= 0 is g + G^T u, u >= 0 (its dual, solved by non-negative least squares)."""

    def nearest(g: np.ndarray) -> np.ndarray:
        weights, _ = nnls(pair.T, -g)
        return g + pair.T @ weights

    np.testing.assert_allclose(combined("upgrad", pair), (nearest(pair[0]) + nearest(pair[1])) / 2, atol=1e-9)


@PAIRS
def test_mgda_is_the_shortest_convex_combination(pair: np.ndarray) -> None:
    shares = np.linspace(0.0, 1.0, 200_001)[:, None]
    lengths = np.linalg.norm(shares * pair[0] + (1 - shares) * pair[1], axis=1)
    best = shares[lengths.argmin(), 0]
    np.testing.assert_allclose(combined("mgda", pair), best * pair[0] + (1 - best) * pair[1], atol=3e-5)


@PAIRS
def test_cagrad_serves_the_worse_served_loss_best_within_its_reach(pair: np.ndarray) -> None:
    """Against the primal problem: max t with <g_i, d> >= t and |d - g_0| <= c |g_0|."""
    mean, c = pair.mean(axis=0), 0.4
    found = combined("cagrad", pair, c=c)
    reach = c * np.linalg.norm(mean)
    assert np.linalg.norm(found - mean) <= reach + 1e-9
    primal = minimize(
        lambda x: -x[-1],
        np.append(mean, (pair @ mean).min()),
        constraints=[
            {"type": "ineq", "fun": lambda x: pair @ x[:-1] - x[-1]},
            {"type": "ineq", "fun": lambda x: reach**2 - ((x[:-1] - mean) ** 2).sum()},
        ],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    assert (pair @ found).min() == pytest.approx(-primal.fun, abs=1e-6)


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda", "cagrad"])
def test_D12_in_the_optimizers_metric_it_is_the_update_that_is_combined(name: str) -> None:
    """With P the step a unit of gradient: sqrt(P) d is what is made of sqrt(P) g_1 and sqrt(P) g_2 plainly."""
    metric = np.array([0.1, 4.0, 1.0, 9.0, 0.5])
    root = np.sqrt(metric)
    np.testing.assert_allclose(root * combined(name, CONFLICT, metric), combined(name, CONFLICT * root), atol=1e-9)
    plain = combined(name, CONFLICT, metric, metric="plain")
    np.testing.assert_allclose(plain, combined(name, CONFLICT), atol=1e-12)


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda"])
def test_D12_no_loss_rises_to_first_order(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        pair = rng.normal(size=(2, 5)) * rng.gamma(1.0, size=(2, 1))
        assert (pair @ combined(name, pair) >= -1e-9).all()


def test_noise_aware_leans_on_imitation_by_noise_and_agreement() -> None:
    """Gradients with known means and noise: mu arrives at s_R^2/(s_R^2 + s_S^2 + D^2)."""
    rng = np.random.default_rng(0)
    means, scales, size = (np.full(400, 0.10), np.full(400, 0.05)), (0.3, 0.1), 400
    method = build_method({"name": "noise_aware", "decay": 0.98, "largest_change": 1.0}, PLAN)
    ones = {"a": torch.ones(size, dtype=torch.float64)}
    for _ in range(600):
        sides = [{"a": torch.tensor(m + s * rng.normal(size=size))} for m, s in zip(means, scales, strict=True)]
        before = method.state["mu"]
        mixed = method.combine(*sides, ones)
        mu = method.state["mu"]
        torch.testing.assert_close(mixed["a"], (1 - mu) * sides[0]["a"] + mu * sides[1]["a"])
    noise, other, apart = size * 0.3**2, size * 0.1**2, size * 0.05**2
    assert mu == pytest.approx(noise / (noise + other + apart), abs=0.03)
    capped = build_method({"name": "noise_aware", "largest_change": 0.01, "begin": 0.0}, PLAN)
    for _ in range(4):
        before = capped.state["mu"]
        capped.combine(*sides, ones)
        assert abs(capped.state["mu"] - before) <= 0.01 + 1e-12


@pytest.mark.parametrize("name", METHODS)
def test_whoever_combines_gradients_is_handed_both_and_nobody_else(name: str) -> None:
    """The trainer takes gradients apart for `splits_gradient` alone: without it `combine` would never be asked."""
    assert METHODS[name].splits_gradient == (METHODS[name].combine is not Method.combine)
