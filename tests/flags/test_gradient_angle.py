"""The statistic of the flag on the gradient angle: unbiased, and wrong no more often than its level says."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.estimate import Estimate
from interlace.flags import FLAGS, FlagWatch
from interlace.flags.gradient_angle import excess_over
from interlace.flags.watch import LookPlan
from interlace.measurement import GradientProducts, HeldOut, PromptScores

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
    assert hits / runs <= error + 3.0 * np.sqrt(error / runs)


def figure_of(rng: np.random.Generator, parts: int, price: float, level: float) -> Estimate:
    found = excess_over(products(rng, parts, 1.0), price, level)
    assert isinstance(found, Estimate)
    return found


@pytest.mark.parametrize(
    ("angle", "said"), [(-1.0, "turned against each other"), (0.0, "stand, now resolved, against")]
)
def test_turned_is_said_only_of_what_was_resolved_the_other_way(angle: float, said: str) -> None:
    """At the start the gradients agree (their product is negative), or nothing of them is resolved."""
    rng = np.random.default_rng(0)
    held = HeldOut("t", 8, np.arange(8), np.ones(8), np.array([0.0, 1.0] * 4), np.ones(8, dtype=int), True)

    def scores(gradients: GradientProducts) -> PromptScores:
        return PromptScores(np.full(8, -1.0), np.tile([0.0, 1.0], (8, 1)), np.full((8, 2), 0.5), True, None, gradients)

    def at(cross: float) -> GradientProducts:
        noise = 0.01 * rng.standard_normal((6, 6))
        return GradientProducts(np.eye(6) * 0.01 + 1.0, np.eye(6) * 0.01 + 1.0, cross + noise)

    first = scores(at(angle))
    watch = FlagWatch("training", {"gradient_angle": FLAGS["gradient_angle"]}, LookPlan(1, 1), 1, lambda task: first)
    (alarm,) = watch.see(1, held, scores(at(0.9)))
    assert said in alarm.text and "a step for one of them now undoes the other" in alarm.text


def test_what_stood_so_from_the_start_is_no_news() -> None:
    rng = np.random.default_rng(0)
    held = HeldOut("t", 8, np.arange(8), np.ones(8), np.array([0.0, 1.0] * 4), np.ones(8, dtype=int), True)
    gradients = GradientProducts(np.eye(6) + 1.0, np.eye(6) + 1.0, 0.9 + 0.01 * rng.standard_normal((6, 6)))
    first = PromptScores(np.full(8, -1.0), np.tile([0.0, 1.0], (8, 1)), np.full((8, 2), 0.5), True, None, gradients)
    watch = FlagWatch("rl", {"gradient_angle": FLAGS["gradient_angle"]}, LookPlan(1, 1), 1, lambda task: first)
    assert not watch.see(1, held, first)
