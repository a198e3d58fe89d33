"""Where a stage passed the expert's reward, and where its SFT loss was least."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.estimate import Unresolved
from interlace.measurement import AVERAGED
from interlace.theory.distributional import parity_rl_time
from interlace.theory.finite import expected_reward
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run

TIMES = np.linspace(0.0, 4.0, 17)


@pytest.fixture
def problem(rng):
    return binary_problem(rng, prompts=200)


def test_parity_and_the_least_loss_stand_where_the_theory_has_them(problem):
    stage = summarise(make_record(problem, Stage(tilted_run(problem, TIMES)))).stages["rl"]
    parity = parity_rl_time(problem) / 0.25 * 10  # steps of ten for every .25 of RL time
    marks = stage.landmarks["raw"]
    assert marks.parity_crossing == pytest.approx(parity, abs=0.5)
    assert parity < stage.parity_step <= parity + 20
    assert abs(stage.least_sft_loss_step - parity) <= 10
    assert stage.reward_at_least_sft_loss.covers(problem.expert_reward)
    assert marks.least_sft_loss.value <= stage.sft_loss.before.value


def test_the_reward_there_is_as_uncertain_as_the_step(problem):
    """One step alone would give an interval that takes the step for known."""
    stage = summarise(make_record(problem, Stage(tilted_run(problem, TIMES)))).stages["rl"]
    curve = stage.curve()
    at_step = curve.reward[curve.steps.index(stage.least_sft_loss_step)]
    found = stage.reward_at_least_sft_loss
    assert found.value == pytest.approx(at_step.value)
    assert found.upper - found.lower > at_step.upper - at_step.lower


def test_a_reward_that_stays_below_has_no_parity(problem):
    marks = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 0.5])))).stages["rl"].landmarks["raw"]
    assert isinstance(marks.parity_step, Unresolved) and isinstance(marks.parity_crossing, Unresolved)


def test_a_start_above_the_expert_is_said(rng):
    problem = binary_problem(rng, skill=0.8, expert_reward=0.6)
    marks = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 0.5])))).stages["rl"].landmarks["raw"]
    assert marks.parity_step == 0
    assert "from the stage's start" in marks.parity_crossing.reason


def test_averaged_weights_have_their_own_landmarks(problem):
    average = {10 * i: policy for i, policy in enumerate(tilted_run(problem, TIMES[:4]).values(), start=1)}
    record = make_record(problem, Stage(tilted_run(problem, TIMES[::4]), averaged=average))
    marks = summarise(record).stages["rl"].landmarks
    assert isinstance(marks["raw"].parity_step, int)
    assert isinstance(marks[AVERAGED].parity_step, Unresolved)


def test_steps_with_an_infinite_loss_are_passed_over(problem):
    run = tilted_run(problem, [0.0, 1.0, 2.0])
    broken = np.array(run[20])
    broken[0] = [1.0, 0.0, 0.0, 0.0, 0.0]
    stage = summarise(make_record(problem, Stage({0: run[0], 10: run[10], 20: broken}))).stages["rl"]
    assert stage.least_sft_loss_step == 10
    assert stage.reward_at_least_sft_loss.value == pytest.approx(expected_reward(problem, run[10]))
