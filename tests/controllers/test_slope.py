"""The rule of B5: the slope is tested on products of gradients, mu and kappa decide whether a longer way pays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from interlace.analysis.trajectory import Trajectory
from interlace.controllers import build_rule, replay
from interlace.controllers.slope import MEASURED
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import GradientProducts
from tests.controllers.worlds import LOOKS, looked_at, stage

LAMBDA = 3.0


def read_at(products: GradientProducts, curvature: float) -> Mapping[str, Figure]:
    """What the probes would read: a gap of .4, PL tight, and the curvature."""
    loss, reward, cross = (float(table.mean()) for table in (products.loss, products.reward, products.cross))
    values = (0.4, reward / (2 * 0.4), cross / np.sqrt(loss * reward), loss, curvature)
    return {name: around(float(value)) for name, value in zip(MEASURED, values, strict=True)}


def around(value: float) -> Estimate:
    """A figure with an interval of 1 % on both sides."""
    return Estimate(value, value - abs(value) / 100, value + abs(value) / 100, 0.95, 16, "given", "")


def all_read(found: Trajectory, curvature: float) -> dict[int, Mapping[str, Figure]]:
    gradients = {shot.step: shot.scores.gradients for shot in found.snapshots}
    return {step: read_at(table, curvature) for step, table in gradients.items() if table is not None}


@pytest.fixture(scope="module")
def found() -> Trajectory:
    world, path = stage(np.random.default_rng(0), 6.0)
    return looked_at(world, path, sampled=False)


def test_it_stops_once_the_slope_is_below_0_and_nothing_promises_more(found: Trajectory) -> None:
    rule = build_rule({"rule": "slope", "exchange_rate": LAMBDA}, LOOKS)
    stop, decision = replay(rule, found, all_read(found, curvature=1.0))
    slopes = [
        float(table.cross.mean()) - float(table.reward.mean()) / LAMBDA
        for shot in found.snapshots
        if (table := shot.scores.gradients) is not None
    ]
    crossed = next(step for step, slope in enumerate(slopes) if slope > 0.0)
    assert 0 < crossed <= stop <= crossed + 6 < LOOKS
    assert decision is not None and isinstance(decision.figure, Estimate) and decision.figure.lower > 0.0
    assert "best duration from here is 0, conditional on PL" in decision.reason


def test_it_goes_on_where_the_loss_bends_down_enough(found: Trajectory) -> None:
    rule = build_rule({"rule": "slope", "exchange_rate": LAMBDA}, LOOKS)
    assert replay(rule, found, all_read(found, curvature=-1e3)) == (LOOKS, None)


@pytest.mark.parametrize("name", MEASURED)
def test_it_decides_nothing_where_a_figure_is_not_resolved(name: str, found: Trajectory) -> None:
    rule = build_rule({"rule": "slope", "exchange_rate": LAMBDA}, LOOKS)
    read = {step: {**table, name: Unresolved("noise")} for step, table in all_read(found, 1.0).items()}
    assert replay(rule, found, read) == (LOOKS, None)
