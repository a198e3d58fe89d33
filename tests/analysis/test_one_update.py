"""B3 on quadratics, whose steps are known in closed form: L(x) = k x^2/2, a step d from x."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.passage import Passage
from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.trajectory import read_trajectory
from interlace.analysis.verdicts import one_update, stage_verdicts
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, RAW, Measurement, Point
from tests.analysis.worlds import TASK, Stage, binary_problem, make_record, tilted_run


def figure(value: float, half: float = 1e-3) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 8, "by hand", "nats/response")


def quadratic(k: float, x: float, d: float) -> dict[str, float]:
    """What the probes read of the step x -> x + d on k x^2/2."""
    return {"update_slope": k * x * d, "update_norm": abs(d), "smoothness": k, "directional_smoothness": k,
            "update_sft_loss_change": 0.5 * k * ((x + d) ** 2 - x**2)}  # fmt: skip


def passage(*looks: dict[str, float], weights: str = RAW) -> Passage:
    problem = binary_problem(np.random.default_rng(0), 30)
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 0.1, 0.2])))
    (stage,) = record.stages
    read = tuple(
        Measurement(Point(stage.stage, step, TASK, RAW), name, figure(value))
        for step, look in enumerate(looks)
        for name, value in look.items()
    )
    stage = replace(stage, measurements=(*stage.measurements, *read))
    record = replace(record, stages=(stage,))
    return Passage(stage, read_trajectory(record, stage.stage, TASK, weights), np.full((1, 30), 1 / 30))


def test_short_steps_down_lower_and_up_raise() -> None:
    lowers, raises = one_update.verdicts(passage(quadratic(2.0, 1.0, -0.2), quadratic(2.0, 1.0, 0.3)))
    assert (lowers.verdict, raises.verdict) == (HOLDS, HOLDS)
    assert isinstance(lowers.prediction, Estimate) and isinstance(raises.prediction, Estimate)
    assert lowers.prediction.upper == pytest.approx(-0.4 + 0.5 * 2.001 * 0.04, abs=2e-3)
    assert raises.prediction.lower == pytest.approx(0.6 - 0.5 * 2.001 * 0.09, abs=2e-3)


def test_a_step_across_the_valley_is_beyond_the_guarantee() -> None:
    (verdict,) = one_update.verdicts(passage(quadratic(2.0, 1.0, -2.5)))
    assert verdict.verdict == NOT_RESOLVED and "beyond the guarantee" in verdict.sentence


def test_the_other_sign_contradicts_where_the_curvature_kept_within_the_smoothness() -> None:
    against = quadratic(2.0, 1.0, -0.2) | {"update_sft_loss_change": 0.1}
    assert one_update.verdicts(passage(against))[0].verdict == CONTRADICTS
    sharp = against | {"directional_smoothness": 30.0}
    assert one_update.verdicts(passage(sharp))[0].verdict == OUTSIDE


def test_the_sharpest_curvature_so_far_counts() -> None:
    """A look after a sharper one: what was certain with its own smoothness is not with the earlier one's."""
    alone = one_update.verdicts(passage(quadratic(1.0, 1.0, -0.5)))
    after = one_update.verdicts(passage(quadratic(9.0, 1.0, -2.5), quadratic(1.0, 1.0, -0.5)))
    assert alone[0].verdict == HOLDS and after[0].verdict == NOT_RESOLVED


def test_averaged_weights_take_no_steps_and_without_the_probes_nothing_is_said() -> None:
    assert one_update.verdicts(passage(quadratic(2.0, 1.0, -0.2), weights=AVERAGED)) == ()
    assert one_update.verdicts(passage()) == ()


def test_a_placebo_steps_too() -> None:
    made = passage(quadratic(2.0, 1.0, -0.2))
    stage = replace(made.stage, options={"placebo": "strict"})
    found = stage_verdicts(replace(made, stage=stage))
    assert [verdict.verdict for verdict in found if verdict.law == "B3"] == [HOLDS]
