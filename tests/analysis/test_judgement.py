"""C8's rule, on figures by themselves."""

from __future__ import annotations

import pytest

from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.verdicts.judgement import is_small, judge_sign
from interlace.estimate import Estimate, Unresolved

MISSING = Unresolved("not measured")


def figure(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 50, "test", "nats/response")


@pytest.mark.parametrize(
    ("predicted", "measured", "deviation", "verdict"),
    [
        (figure(0.5), figure(0.4), figure(-0.1), HOLDS),
        (figure(0.5), figure(-0.4), figure(-0.1), CONTRADICTS),
        (figure(0.5), figure(0.4), figure(-0.3), OUTSIDE),
        (figure(0.5), figure(-0.4), figure(-0.9), OUTSIDE),
        (figure(0.5), figure(-0.4), MISSING, OUTSIDE),
        (figure(0.5), figure(0.0), figure(0.0), NOT_RESOLVED),
        (figure(0.0), figure(0.5), figure(0.0), NOT_RESOLVED),
        (figure(0.5), MISSING, figure(0.0), NOT_RESOLVED),
        (MISSING, figure(0.5), figure(0.0), NOT_RESOLVED),
    ],
)
def test_a_sign_contradicts_only_with_the_deviation_resolved_small(predicted, measured, deviation, verdict):
    assert judge_sign(predicted, measured, is_small(deviation, predicted)).verdict == verdict


def test_a_deviation_is_small_only_with_its_whole_interval():
    assert is_small(figure(0.2, half=0.04), figure(0.5))
    assert not is_small(figure(0.2, half=0.06), figure(0.5))
    assert not is_small(figure(-0.2, half=0.06), figure(-0.5))
