"""A4 on runs whose distance from the RL path is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.summary import HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.verdicts.parity import Segment, segments
from interlace.estimate import Unresolved
from interlace.measurement import AVERAGED, RAW
from interlace.theory.distributional import sft_loss_increase
from interlace.theory.finite import FiniteProblem
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


def of_law(summary, law, stage="rl", weights=RAW):
    return [v for v in summary.stages[stage].verdicts if v.law == law and v.weights == weights]


def jittered(rng, row, prompts=60):
    """A policy that is nearly the same on every prompt."""
    weights = np.tile(np.asarray(row, dtype=float), (prompts, 1)) * np.exp(0.02 * rng.normal(size=(prompts, len(row))))
    return weights / weights.sum(axis=1, keepdims=True)


def one_kind(rng, reward, policy, expert, prompts=60):
    rewards = np.tile(np.asarray(reward, dtype=float), (prompts, 1))
    weights = np.full(prompts, 1.0 / prompts)
    return FiniteProblem(weights, jittered(rng, policy, prompts), jittered(rng, expert, prompts), rewards)


def test_the_law_holds_on_its_own_path_on_both_sides_of_parity(rng):
    problem = binary_problem(rng)
    times = np.linspace(0.0, 4.0, 9)
    below, above = of_law(summarise(make_record(problem, Stage(tilted_run(problem, times)))), "A4")
    assert (below.verdict, above.verdict) == (HOLDS, HOLDS)
    assert below.prediction.sign == below.measurement.sign == -1
    assert above.prediction.sign == above.measurement.sign == 1
    increases = sft_loss_increase(problem, times)
    steps = [int(word) for word in above.sentence.split() if word.isdigit()]
    assert above.prediction.value == pytest.approx(increases[-1] - increases[steps[0] // 10], abs=1e-9)


def test_averaged_weights_are_judged_beside_the_raw_ones(rng):
    problem = binary_problem(rng)
    average = {10 * i: policy for i, policy in enumerate(tilted_run(problem, [0.5, 3.0]).values(), start=1)}
    summary = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 1.0, 4.0]), averaged=average)))
    assert {v.verdict for v in of_law(summary, "A4", weights=AVERAGED)} <= {HOLDS, NOT_RESOLVED}
    assert of_law(summary, "A4", weights=AVERAGED)


@pytest.mark.parametrize(
    ("expert", "side"),
    [((0.10, 0.55, 0.35), "below"), ((0.58, 1e-9, 0.42), "above"), ((0.0, 1.0, 0.0), "below")],
    ids=["below parity L rises", "past parity L falls", "perfect expert, L rises"],
)
def test_D3_a_sign_that_fails_off_the_path_is_outside_the_conditions_never_a_contradiction(rng, expert, side):
    start = (0.8, 0.01, 0.19) if expert[1] == 1.0 else (0.5, 0.1, 0.4)
    problem = one_kind(rng, (1, 1, 0), start, expert)
    (verdict,) = of_law(summarise(make_record(problem, Stage(softmax_gradient_run(problem, 0.05, 4)))), "A4")
    assert f"stood {side} the expert's" in verdict.sentence
    assert verdict.prediction.sign == (-1 if side == "below" else 1)
    assert verdict.measurement.sign == -verdict.prediction.sign
    assert verdict.verdict == OUTSIDE
    assert "off the law's path" in verdict.sentence and "the sign was the other one" in verdict.sentence


def test_an_agreeing_sign_far_off_the_path_does_not_hold_either(rng):
    problem = one_kind(rng, (1, 1, 0), (0.5, 0.1, 0.4), (0.10, 0.50, 0.40))
    run = softmax_gradient_run(problem, 2.0, 8)
    (verdict,) = of_law(summarise(make_record(problem, Stage(run))), "A4")
    assert verdict.verdict == OUTSIDE and "the sign agreed" in verdict.sentence


def test_a_reward_never_resolved_on_one_side_is_no_verdict(rng):
    problem = binary_problem(rng, prompts=12, expert_reward=0.32, skill=0.3)
    (verdict,) = of_law(summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 0.05, 0.1])))), "A4")
    assert verdict.verdict == NOT_RESOLVED
    assert isinstance(verdict.prediction, Unresolved)
    assert verdict.measurement.unit == "nats/response"


def test_without_a_tilt_the_on_policy_rewards_predict_and_nothing_is_decided(rng):
    """Too few samples for log Z (C4): the sign is reported, the condition is not measured."""
    problem = binary_problem(rng, prompts=300)
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 1.0, 3.0, 4.0, 5.0])), samples=6)
    above = of_law(summarise(record), "A4")[-1]
    assert above.verdict == OUTSIDE
    assert above.prediction.sign == 1 and "effective samples" in above.sentence


def test_a_placebo_is_a_control_and_no_test_of_the_laws(rng):
    problem = binary_problem(rng)
    stage = Stage(tilted_run(problem, [0.0, 1.0, 4.0]), options={"placebo": "strict"})
    summary = summarise(make_record(problem, stage))
    verdicts = summary.stages["rl"].verdicts
    assert [v.law for v in verdicts] == ["A4", "A5", "C7"]
    assert {v.verdict for v in verdicts} == {OUTSIDE}
    assert all("permuted" in v.sentence and "control" in v.sentence for v in verdicts)
    assert verdicts[0].measurement == summary.stages["rl"].sft_loss.change
    assert "a control" in summary.stages["rl"].sentence
    assert not any("rl near step" in sentence for sentence in summary.advice)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([-1, -1, 1, 1], [Segment(0, 1, "below", -1), Segment(2, 3, "above", 1)]),
        ([-1, 1], []),
        ([0, 0, 0], []),
        ([1, 1, 0, 1], []),
        ([1, 0, 1, 1], [Segment(2, 3, "above", 1)]),
        ([-1, -1, -1], [Segment(0, 2, "below", -1)]),
    ],
)
def test_segments_lie_on_one_side_from_the_start_or_to_the_end(signs, expected):
    assert segments(signs) == expected


def test_nothing_measured_is_said_for_every_law(rng):
    problem = binary_problem(rng)
    record = make_record(problem, Stage({0: problem.reference}))
    verdicts = summarise(record).stages["rl"].verdicts
    assert [v.law for v in verdicts] == ["A4", "A5", "C7"]
    assert all("start only" in v.sentence for v in verdicts)
    broken = dataclasses.replace(record, kept={})
    assert all("not measured" in v.sentence for v in summarise(broken).stages["rl"].verdicts)
