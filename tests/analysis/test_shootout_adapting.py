"""What adapting is worth: an arm beside its controls at the same share of imitation."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.shootout import shootout
from interlace.estimate import Estimate
from interlace.measurement import RAW
from tests.analysis.test_shootout_rows import arm, problem_of, start
from tests.analysis.worlds import make_record


def test_an_arm_is_held_against_the_controls_that_are_like_it() -> None:
    """Two controls of one arm, in three runs; by the rows' own values. A control is no setting of its method."""
    records = []
    for seed in range(3):
        problem = problem_of(seed)
        arms = [
            arm("adaptive", problem, 2.0, options={"method": {"name": "guarded"}}),
            arm("fixed", problem, 3.0 + seed, options={"method": {"name": "joint", "mu": 0.5, "like": "adaptive"}}),
            arm("coin", problem, 4.0, options={"method": {"name": "random_switch", "rate": 0.5, "like": "adaptive"}}),
            arm("joint", problem, 5.0, options={"method": {"name": "joint", "mu": 0.5}}),
        ]
        records.append(make_record(problem, start(problem), *arms, seed=seed))
    found = shootout(records, against="joint")
    values = {row.arm: np.array(row.values) for row in found.rows if row.weights == RAW}
    matched = {each.control: each for each in found.matched if each.weights == RAW}
    assert set(matched) == {"fixed", "coin"} and {each.arm for each in matched.values()} == {"adaptive"}
    for control, each in matched.items():
        assert isinstance(each.lead, Estimate) and each.method == "guarded"
        assert each.lead.value == pytest.approx((values["adaptive"] - values[control]).mean())
    assert matched["coin"].control_method == "random_switch" and not found.knobs
    assert found.to_json()["matched"][0]["arm"] == "adaptive"
