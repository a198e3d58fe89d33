"""Constants along a path: the extreme look, with an interval that holds for all looks together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.path_constants import path_constants
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import AVERAGED, Measurement, Point
from interlace.store import StageRecord

PARTS = 12


def record(quantity: str, figures: dict[int, Figure], weights: str = "raw") -> StageRecord:
    found = tuple(
        Measurement(Point("02-rl", step, "sums", weights, None), quantity, figure) for step, figure in figures.items()
    )
    return StageRecord("02-rl", "rl", "rl", "sums", 60, 60, True, measurements=found)


def read(values: np.ndarray, level: float = 0.95) -> Estimate:
    """The mean of `PARTS` normal values with its Student interval."""
    half = stats.t.ppf(0.5 + level / 2, PARTS - 1) * values.std(ddof=1) / np.sqrt(PARTS)
    return Estimate(values.mean(), values.mean() - half, values.mean() + half, level, PARTS, "t", "1")


def test_the_least_mu_and_the_largest_smoothness() -> None:
    rng = np.random.default_rng(0)
    figures: dict[int, Figure] = {step: read(rng.normal(mean, 0.3, PARTS)) for step, mean in ((0, 5.0), (5, 2.0))}
    figures[10] = Unresolved("gradient: not clearly positive")
    (least,), (largest,) = (path_constants(record(name, figures)) for name in ("pl_constant_sft", "smoothness"))
    assert (least.step, largest.step) == (5, 0)
    assert (least.looks, least.silent) == (3, 1)
    assert isinstance(least.figure, Estimate) and isinstance(figures[5], Estimate)
    assert least.figure.value == figures[5].value
    assert least.figure.lower < figures[5].lower, "both looks' intervals hold together"


def test_its_interval_holds_for_all_looks_together() -> None:
    """8 looks at equal constants: the least reading is far too low, its interval still holds the truth."""
    rng, held, single = np.random.default_rng(1), 0, 0
    for _ in range(1000):
        figures: dict[int, Figure] = {step: read(rng.normal(1.0, 0.5, PARTS)) for step in range(8)}
        (found,) = path_constants(record("pl_constant_sft", figures))
        assert isinstance(found.figure, Estimate) and found.step is not None
        alone = figures[found.step]
        assert isinstance(alone, Estimate)
        held += found.figure.lower <= 1.0 <= found.figure.upper
        single += alone.lower <= 1.0 <= alone.upper
    assert held / 1000 >= 0.95
    assert single / 1000 < 0.9, "a control: one look's own interval does not"


def test_a_pl_constant_is_never_below_zero() -> None:
    """The widened interval of a small reading would reach below what a squared norm can be."""
    (found,) = path_constants(record("pl_constant_sft", {step: read(np.arange(-2.0, 10.0)) for step in range(9)}))
    assert isinstance(found.figure, Estimate) and found.figure.lower == 0.0
    (signed,) = path_constants(record("smoothness", {step: read(np.arange(-2.0, 10.0)) for step in range(9)}))
    assert isinstance(signed.figure, Estimate) and signed.figure.lower < 0.0


def test_where_no_look_tells_nothing_is_said() -> None:
    (found,) = path_constants(record("pl_constant_reward", {0: Unresolved("flat"), 5: Unresolved("flat")}))
    assert isinstance(found.figure, Unresolved) and "flat" in found.figure.reason
    assert (found.step, found.looks, found.silent) == (None, 2, 2)
    assert list(path_constants(record("pl_constant_reward", {0: Unresolved("flat")}, AVERAGED))) == []
    assert found.to_json()["silent"] == pytest.approx(2)
