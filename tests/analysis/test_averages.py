"""A figure over seeds: their scatter, and what each run leaves open itself."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.averages import over_seeds
from interlace.estimate import Estimate
from interlace.statistics import mean_interval, seed_interval


def run(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 40, "Student t over prompts", "reward")


def test_seeds_that_come_out_alike_keep_the_runs_own_errors() -> None:
    found = over_seeds([run(0.1, 0.03), run(0.1, 0.04), run(0.1, 0.05)])
    half = np.sqrt((0.03**2 + 0.04**2 + 0.05**2) / 3) / np.sqrt(3)
    assert isinstance(found, Estimate) and found.method.endswith("no narrower than the runs' own errors")
    assert (found.lower, found.upper) == pytest.approx((0.1 - half, 0.1 + half))


def test_seeds_that_scatter_more_than_their_own_errors_are_left_as_they_are() -> None:
    values = [0.1, 0.2, 0.4]
    assert over_seeds([run(value, 0.01) for value in values]) == seed_interval(values, unit="reward")


def test_few_seeds_of_few_possible_values_cover_the_truth() -> None:
    """Three seeds of 20 prompts that succeed with probability .1: by their scatter alone they are the same too often,
    with an interval of no width."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        runs = [mean_interval((rng.random(20) < 0.1).astype(float), unit="reward", least=0.0) for _ in range(3)]
        found = over_seeds(runs)
        covered.append(not isinstance(found, Estimate) or found.lower <= 0.1 <= found.upper)
    assert np.mean(covered) > 0.93
