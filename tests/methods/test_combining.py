"""Gradients combined: each method's shares against the optimisation problem that defines it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls

from interlace.encoding import dumps
from interlace.methods import METHODS, Method, Plan, build_method
from interlace.methods.combining import Combining
from interlace.theory.frontier import projected_rates

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


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda", "cagrad", "projected"])
def test_D12_in_the_optimizers_metric_it_is_the_update_that_is_combined(name: str) -> None:
    """With P the step a unit of gradient: sqrt(P) d is what is made of sqrt(P) g_1 and sqrt(P) g_2 plainly."""
    metric = np.array([0.1, 4.0, 1.0, 9.0, 0.5])
    root = np.sqrt(metric)
    np.testing.assert_allclose(root * combined(name, CONFLICT, metric), combined(name, CONFLICT * root), atol=1e-9)
    plain = combined(name, CONFLICT, metric, metric="plain")
    np.testing.assert_allclose(plain, combined(name, CONFLICT), atol=1e-12)


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda", "projected"])
def test_D12_no_loss_rises_to_first_order(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        pair = rng.normal(size=(2, 5)) * rng.gamma(1.0, size=(2, 1))
        assert (pair @ combined(name, pair) >= -1e-9).all()


@pytest.mark.parametrize("kept", ["sft", "rl"])
def test_D12_the_kept_loss_stays_and_the_other_falls_at_the_rate_of_a_projection(kept: str) -> None:
    """In the optimizer's metric, against the theory's rates and finite steps on two quadratics."""
    metric = np.array([0.1, 4.0, 1.0, 9.0, 0.5])
    found = metric * combined("projected", CONFLICT, metric, kept=kept, gamma=1.0)
    norms = np.sqrt((CONFLICT**2 * metric).sum(1))
    cosine = float((CONFLICT[0] * CONFLICT[1] * metric).sum() / norms.prod())
    fixed, moving = (1, 0) if kept == "sft" else (0, 1)
    rates = projected_rates(cosine, float(norms[fixed]), float(norms[moving]))
    assert cosine < 0.0 and rates.sft == 0.0
    assert CONFLICT[fixed] @ found == pytest.approx(rates.sft, abs=1e-12)
    assert CONFLICT[moving] @ found == pytest.approx(rates.reward, rel=1e-12)
    start, eta = np.linalg.solve(np.eye(5) * 2.0, CONFLICT.T).T, 1e-5  # |x + a|^2 has gradient 2 a at 0
    changes = [(((-eta * found + a) ** 2).sum() - (a**2).sum()) / eta for a in start]
    assert changes[fixed] == pytest.approx(0.0, abs=1e-3) and changes[moving] == pytest.approx(-rates.reward, rel=1e-3)


def test_D12_gradients_that_agree_are_not_projected() -> None:
    np.testing.assert_allclose(combined("projected", AGREEMENT), AGREEMENT[0])
    np.testing.assert_allclose(combined("projected", AGREEMENT, kept="rl"), AGREEMENT[1])


SIZE = 300
MEANS = np.repeat([[1.0, -0.5, 0.0], [0.0, 1.0, 0.0]], 100, axis=1)
"""Of the RL and the SFT gradient: squared norms 125 and 100, product -50."""
ONES = {"a": torch.ones(SIZE, dtype=torch.float64)}


def updates(method: Any, means: np.ndarray, noise: tuple[float, float], count: int, seed: int = 0) -> np.ndarray:
    """What the method makes of `count` noisy pairs."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        sides = [{"a": torch.tensor(m + s * rng.normal(size=SIZE))} for m, s in zip(means, noise, strict=True)]
        rows.append(method.combine(*sides, ONES)["a"].numpy())
    return np.stack(rows)


def test_C2_the_expected_sft_loss_stays_where_a_batchs_own_projection_takes_too_little_off() -> None:
    """SFT gradients of which a quarter is signal: `projected` leaves three quarters of the rise, the soft one none."""
    noise = (0.5, 1.0)
    plain = updates(build_method("projected", PLAN), MEANS, noise, 400)
    soft = updates(build_method({"name": "soft_projected", "decay": 0.95}, PLAN), MEANS, noise, 400)[100:]
    assert (plain @ MEANS[1]).mean() == pytest.approx(-50.0 * 0.75, abs=3.0)
    assert (soft @ MEANS[1]).mean() == pytest.approx(0.0, abs=3.0)
    assert (soft @ MEANS[0]).mean() == pytest.approx(125.0 - 50.0**2 / 100.0, abs=5.0)


def test_without_noise_the_soft_projection_is_the_projection() -> None:
    method = build_method("soft_projected", PLAN)
    found = updates(method, MEANS, (0.0, 0.0), 6)
    np.testing.assert_allclose(found[0], MEANS[0])  # nothing is known yet
    np.testing.assert_allclose(found[-1], MEANS[0] + 0.5 * MEANS[1])
    kept = updates(build_method({"name": "soft_projected", "kept": "rl"}, PLAN), MEANS, (0.0, 0.0), 6)
    np.testing.assert_allclose(kept[-1], MEANS[1] + 50.0 / 125.0 * MEANS[0])
    agreeing = updates(build_method("soft_projected", PLAN), np.abs(MEANS), (0.0, 0.0), 6)
    np.testing.assert_allclose(agreeing[-1], np.abs(MEANS[0]))


def test_noise_alone_takes_less_off_than_a_batchs_own_projection_does() -> None:
    """Orthogonal means: what either takes off is noise. A mean SFT gradient that is not seen takes nothing off."""
    means, noise, taken = np.repeat([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 100, axis=1), (3.0, 1.0), {}
    for name in ("projected", "soft_projected"):
        found = [updates(build_method(name, PLAN), means, noise, 60, seed)[10:] for seed in range(8)]
        taken[name] = np.mean(np.stack(found) @ means[1])
    assert 0.0 < taken["soft_projected"] < 0.5 * taken["projected"]
    hidden = build_method("soft_projected", PLAN)
    updates(hidden, np.stack([means[0], 0.0 * means[1]]), noise, 60)
    assert hidden.weight == 0.0


def test_a_soft_projection_takes_no_more_off_than_a_projection_can() -> None:
    method = build_method("soft_projected", PLAN)
    updates(method, MEANS, (0.0, 0.0), 6)
    small = [{"a": torch.tensor(factor * mean)} for factor, mean in zip((0.01, 1.0), MEANS, strict=True)]
    rest = method.combine(*small, ONES)["a"].numpy() - 0.01 * MEANS[0]
    assert np.linalg.norm(rest) == pytest.approx(0.01 * np.sqrt(125.0))


def test_a_soft_projection_goes_on_where_it_was() -> None:
    whole, first, second = (build_method("soft_projected", PLAN) for _ in range(3))
    expected = updates(whole, MEANS, (0.5, 1.0), 30)
    rng_rows = updates(first, MEANS, (0.5, 1.0), 20)
    second.restore(json.loads(dumps(first.state)))
    second.restore_tensors(first.tensors)
    np.testing.assert_array_equal(rng_rows, expected[:20])
    assert second.weight == first.weight > 0.0
    same = [{"a": torch.tensor(mean)} for mean in MEANS]
    assert torch.equal(second.combine(*same, ONES)["a"], first.combine(*same, ONES)["a"])
    assert second.state == first.state


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


def test_noise_and_distance_are_known_without_bias_from_the_start() -> None:
    """Gradients whose noise and means are known: over many runs estimates after update 2, 3, 6 and 20 have the truth
    as their mean, within four standard errors. The squared distance is read off mu at the update that follows."""
    size, scales, apart, after = 200, (0.3, 0.2), 0.4, (2, 3, 6, 20)
    truth = np.array([size * scales[0] ** 2, size * scales[1] ** 2, size * apart**2])
    rng, runs = np.random.default_rng(5), 120
    found = np.empty((runs, len(after), 3))
    ones = {"a": torch.ones(size, dtype=torch.float64)}
    for run in range(runs):
        method = build_method({"name": "noise_aware", "largest_change": 1.0}, PLAN)
        drawn = np.array([0.1, 0.1 + apart])[:, None] + np.array(scales)[:, None] * rng.normal(size=(21, 2, size))
        for update, (rl, sft) in enumerate(torch.tensor(drawn), start=1):
            noise = method.state["noise"]
            method.combine({"a": rl}, {"a": sft}, ones)
            if update - 1 in after:
                distance = noise["rl"] / method.state["mu"] - noise["rl"] - noise["sft"]
                found[run, after.index(update - 1)] = noise["rl"], noise["sft"], distance
    error = found.std(axis=0, ddof=1) / np.sqrt(runs)
    assert (error < 0.02 * truth).all() and found[..., 2].min() > 0.0
    assert (np.abs(found.mean(axis=0) - truth) < 4.0 * error).all()


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_what_is_left_of_the_noise_in_a_mean_is_the_sum_of_its_squared_weights(decay: float) -> None:
    """Of k gradients the first weighs decay^(k - 1) and number i > 1 (1 - decay) decay^(k - i); also after a stop."""
    method = build_method({"name": "noise_aware", "decay": decay}, PLAN)
    sides = [{"a": torch.tensor(mean)} for mean in MEANS]
    for count in range(1, 41):
        method.combine(*sides, ONES)
        weights = (1.0 - decay) * decay ** np.arange(count, dtype=float)
        weights[-1] /= 1.0 - decay
        assert weights.sum() == pytest.approx(1.0)
        assert method.state["left"] == pytest.approx((weights**2).sum(), rel=1e-12)
        again = build_method({"name": "noise_aware", "decay": decay}, PLAN)
        again.restore(json.loads(dumps(method.state)))
        again.restore_tensors(method.tensors)
        assert again.state == method.state
        method = again
    assert method.state["left"] == pytest.approx((1.0 - decay) / (1.0 + decay), rel=2e-2)


def test_a_state_without_the_share_goes_on_with_what_it_comes_to() -> None:
    """Of a run that was begun before it was kept: sum over k of ((1 - d) d^k)^2."""
    method = build_method({"name": "noise_aware", "decay": 0.9}, PLAN)
    method.restore({"mu": 0.25, "noise": {"rl": 1.0, "sft": 2.0}})
    assert method.mu == 0.25 and method.left == pytest.approx(sum((0.1 * 0.9**k) ** 2 for k in range(2000)))


@pytest.mark.parametrize("name", METHODS)
def test_whoever_combines_gradients_is_handed_both_and_nobody_else(name: str) -> None:
    """The trainer takes gradients apart for `splits_gradient` alone: without it `combine` would never be asked."""
    assert METHODS[name].splits_gradient == (METHODS[name].combine is not Method.combine)
