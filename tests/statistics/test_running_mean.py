"""The running mean against weighted sums written out, and its error against many draws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.running_mean import RunningMean


def of(values: np.ndarray, decay: float = 0.9) -> RunningMean:
    mean = RunningMean(decay)
    for value in values:
        mean = mean.added(float(value))
    return mean


def test_value_and_error_are_those_of_the_weighted_sum() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, size=40)
    weights = 0.9 ** np.arange(40)[::-1]
    share = weights / weights.sum()
    found, effective = of(values), 1.0 / (share**2).sum()
    assert found.value == pytest.approx(share @ values) and found.effective == pytest.approx(effective)
    error = np.sqrt((share**2) @ (values - share @ values) ** 2 * effective / (effective - 1.0))
    assert found.error == pytest.approx(error)
    again = RunningMean(0.9).from_json(json.loads(json.dumps(found.to_json())))
    assert again == found


def test_the_interval_covers() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(1000):
        figure = of(rng.normal(0.3, 1.0, size=60)).figure("")
        assert isinstance(figure, Estimate)
        held += figure.covers(0.3)
    assert 0.92 <= held / 1000 <= 0.98


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.3, 1.0])
def test_shrunk_by_its_signal_it_is_nearer_to_a_small_mean_and_as_near_to_a_large_one(mean: float) -> None:
    rng = np.random.default_rng(2)
    runs = [of(rng.normal(mean, 1.0, size=60)) for _ in range(600)]
    plain = np.mean([(run.value - mean) ** 2 for run in runs])
    shrunk = np.mean([(run.signal * run.value - mean) ** 2 for run in runs])
    assert shrunk < 0.7 * plain if mean < 0.2 else shrunk < 1.5 * plain


def test_too_few_values_have_no_interval() -> None:
    assert isinstance(RunningMean(0.9).added(1.0).figure(""), Unresolved)
    assert isinstance(RunningMean(0.9).added(1.0).added(np.inf).figure(""), Unresolved)
    assert RunningMean(0.9).signal == 0.0 == RunningMean(0.9).added(1.0).signal
