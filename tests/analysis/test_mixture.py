"""A8 on SFT stages whose distance from the mixture line is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.mixture_line import MixtureLine, match_reward, mixture_line
from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.trajectory import read_trajectory
from interlace.measurement import RAW
from interlace.theory.distributional.mixture import sft_path
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import FiniteProblem, sft_loss
from tests.analysis.test_parity import of_law
from tests.analysis.worlds import TASK, MemoryRecord, Stage, binary_problem, make_record


def sft_run(problem: FiniteProblem, start: np.ndarray, times=(0.0, 0.5, 1.5)) -> dict[int, np.ndarray]:
    return {10 * i: policy for i, policy in enumerate(sft_path(problem, start, np.array(times)))}


def sft_verdict(record: MemoryRecord):
    (verdict,) = of_law(summarise(record), "A8", stage="sft")
    return verdict


@pytest.mark.parametrize(("time", "sign"), [(6.0, -1), (0.0, 1)], ids=["start above the expert", "start below"])
def test_on_the_mixture_line_reward_goes_towards_the_experts(rng, time, sign):
    problem = binary_problem(rng)
    verdict = sft_verdict(make_record(problem, Stage(sft_run(problem, tilted_policy(problem, time)), kind="sft")))
    assert verdict.verdict == HOLDS
    assert verdict.prediction.sign == verdict.measurement.sign == sign
    assert f"{1 - np.exp(-1.5):.2f} of the way" in verdict.conditions[1]


def test_the_distance_from_the_line_is_0_on_it_and_right_off_it(rng):
    problem = binary_problem(rng)
    start = tilted_policy(problem, 6.0)
    on, off = sft_path(problem, start, 1.0), tilted_policy(problem, 4.0)
    for end, distance in ((on, 0.0), (off, None)):
        record = make_record(problem, Stage({0: start, 10: end}, kind="sft"))
        trajectory = read_trajectory(record, "01-sft", TASK, RAW)
        line = mixture_line(trajectory)
        assert isinstance(line, MixtureLine)
        match = match_reward(line, trajectory.start, trajectory.end, trajectory.expert_reward)
        on_line = match.share * problem.expert + (1 - match.share) * start
        expected = sft_loss(problem, end) - sft_loss(problem, on_line)
        assert match.distance.value == pytest.approx(expected if distance is None else distance, abs=1e-9)


def test_far_from_the_line_an_agreeing_sign_is_outside(rng):
    problem = binary_problem(rng)
    start, end = tilted_policy(problem, 6.0), tilted_policy(problem, 5.0)
    worse = 0.3 * end + 0.7 * np.where(problem.reward == 1.0, problem.reward * [1, 0, 0, 0, 0], 0.0)
    verdict = sft_verdict(make_record(problem, Stage({0: start, 10: 0.5 * worse + 0.5 * end}, kind="sft")))
    assert verdict.verdict in (OUTSIDE, NOT_RESOLVED)


def test_reward_that_moved_away_from_the_experts_is_outside_if_the_policy_left_the_line(rng):
    problem = binary_problem(rng)
    start = tilted_policy(problem, 3.0)
    verdict = sft_verdict(make_record(problem, Stage({0: start, 10: tilted_policy(problem, 4.0)}, kind="sft")))
    assert verdict.prediction.sign == -1 and verdict.measurement.sign == 1
    assert verdict.verdict == OUTSIDE


def test_reward_that_moved_away_while_the_policy_stayed_on_the_line_contradicts(rng):
    """Possible only if the law of reward and the log-probabilities disagree: rewards of another policy are kept."""
    problem = binary_problem(rng)
    start = tilted_policy(problem, 6.0)
    record = make_record(problem, Stage(sft_run(problem, start), kind="sft"))
    better = tilted_policy(problem, 9.0)
    kept = {
        point: dataclasses.replace(scores, reward_probabilities=better) if point.step == 20 else scores
        for point, scores in record.kept.items()
    }
    verdict = sft_verdict(dataclasses.replace(record, kept=kept))
    assert verdict.verdict == CONTRADICTS
    assert "leave the reward free" in verdict.conditions[1]


def test_an_unknown_expert_leaves_the_condition_unmeasured(rng):
    problem = binary_problem(rng)
    stage = Stage(sft_run(problem, tilted_policy(problem, 6.0)), kind="sft")
    verdict = sft_verdict(make_record(problem, stage, known=False))
    assert verdict.verdict == OUTSIDE
    assert "not known" in verdict.conditions[1] and "the sign agreed" in verdict.sentence


def test_a_start_at_the_experts_reward_is_not_resolved(rng):
    problem = binary_problem(rng, prompts=20, skill=0.7)
    assert (
        sft_verdict(make_record(problem, Stage(sft_run(problem, problem.reference), kind="sft"))).verdict
        == NOT_RESOLVED
    )
