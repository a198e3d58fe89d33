"""The curve of the parity law: least at the expert's reward, and where an on-path run stands."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.summary import PREDICTED, Curve
from interlace.estimate import Estimate
from interlace.measurement import RAW
from interlace.theory.distributional import parity_rl_time
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import expected_reward, sft_loss
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run


def values(figures: tuple[object, ...]) -> np.ndarray:
    assert all(isinstance(figure, Estimate) for figure in figures)
    return np.array([figure.value for figure in figures])


def curve_of(record, weights: str) -> Curve | None:
    found = [curve for curve in summarise(record).stages[0].curves if curve.weights == weights]
    return found[0] if found else None


@pytest.fixture
def problem():
    return binary_problem(np.random.default_rng(0))


def test_A1_the_curve_is_the_enumerated_tilt(problem) -> None:
    record = make_record(problem, Stage(tilted_run(problem, (0.0, 1.0, 2.5))))
    curve = curve_of(record, PREDICTED)
    assert curve is not None
    policies = [tilted_policy(problem, time) for time in curve.positions]
    np.testing.assert_allclose(values(curve.reward), [expected_reward(problem, policy) for policy in policies])
    np.testing.assert_allclose(values(curve.sft_loss), [sft_loss(problem, policy) for policy in policies])
    assert curve.positions[-1] == pytest.approx(2.5)
    raw = curve_of(record, RAW)
    assert raw is not None
    assert values(curve.sft_loss)[-1] == pytest.approx(values(raw.sft_loss)[-1])


def test_A4_the_curve_is_least_where_reward_passes_the_experts(problem) -> None:
    curve = curve_of(make_record(problem, Stage(tilted_run(problem, (0.0, 4.0)))), PREDICTED)
    assert curve is not None
    least = curve.positions[int(values(curve.sft_loss).argmin())]
    assert least == pytest.approx(parity_rl_time(problem), abs=curve.positions[1])


def test_a_placebo_and_an_sft_stage_have_no_such_curve(problem) -> None:
    policies = tilted_run(problem, (0.0, 1.0))
    assert curve_of(make_record(problem, Stage(policies, options={"placebo": "strict"})), PREDICTED) is None
    assert curve_of(make_record(problem, Stage(policies, kind="sft")), PREDICTED) is None
