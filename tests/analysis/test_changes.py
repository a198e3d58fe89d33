"""Exact changes of every objective."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import AVERAGED, HeldOut
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import expected_reward, sft_loss
from tests.analysis.worlds import TASK, Stage, binary_problem, make_record, tilted_run


@pytest.fixture
def problem(rng):
    return binary_problem(rng)


@pytest.fixture
def end(problem):
    return tilted_policy(problem, 2.0)


@pytest.fixture
def stage(problem):
    run = tilted_run(problem, [0.0, 1.0, 2.0])
    return summarise(make_record(problem, Stage(run, averaged={10: run[0], 20: run[10]}))).stages["rl"]


def test_changes_are_those_of_enumeration(problem, end, stage):
    assert stage.sft_loss.change.value == pytest.approx(sft_loss(problem, end) - sft_loss(problem, problem.reference))
    assert stage.reward.after.value == pytest.approx(expected_reward(problem, end))
    assert stage.reward.change.n == problem.prompts.size
    assert stage.reward.change.lower < stage.reward.change.value < stage.reward.change.upper


def test_per_token_divides_by_the_experts_tokens(problem, stage):
    tokens = problem.prompts @ (problem.expert * (np.arange(problem.expert.shape[1]) + 2)).sum(axis=1)
    per_token = stage.objective("sft_loss_per_token")
    assert per_token.change.value == pytest.approx(stage.sft_loss.change.value / tokens)
    assert per_token.change.unit == "nats/token"


@pytest.mark.parametrize(("name", "right"), [("sft_loss_right", 1.0), ("sft_loss_wrong", 0.0)])
def test_right_and_wrong_are_means_over_those_responses(problem, end, stage, name, right):
    mass = problem.prompts[:, None] * problem.expert * (problem.reward == right)
    expected = (mass * -np.log(end / problem.reference)).sum() / mass.sum()
    assert stage.objective(name).change.value == pytest.approx(expected)


def test_averaged_weights_start_where_the_raw_ones_do(problem, stage):
    loss = stage.objective("sft_loss", AVERAGED)
    assert loss.before.value == pytest.approx(sft_loss(problem, problem.reference))
    assert loss.after.value == pytest.approx(sft_loss(problem, tilted_policy(problem, 1.0)))


def test_an_infinite_loss_is_unresolved_not_a_number(problem):
    broken = np.array(tilted_policy(problem, 1.0))
    broken[0] = [1.0, 0.0, 0.0, 0.0, 0.0]
    summary = summarise(make_record(problem, Stage({0: problem.reference, 10: broken})))
    assert summary.stages["rl"].sft_loss.change == Unresolved("1 of 60 prompts has a value that is not finite")
    assert isinstance(summary.stages["rl"].reward.change, Estimate)
    assert summary.stages["rl"].split["raw"].off_path.sign == 0


def test_every_measured_task_is_reported(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 1.0])))
    other = {dataclasses.replace(point, task="other"): scores for point, scores in record.kept.items()}
    measured = tuple(
        dataclasses.replace(item, point=dataclasses.replace(item.point, task="other"))
        for item in record.stages[0].measurements
    )
    record = dataclasses.replace(
        record,
        kept={**record.kept, **other},
        stages=(dataclasses.replace(record.stages[0], measurements=record.stages[0].measurements + measured),),
        heldout={**record.heldout, "other": dataclasses.replace(record.heldout[TASK], task="other")},
    )
    stage = summarise(record).stages[0]
    assert stage.objective("sft_loss", task="other").change.value == stage.sft_loss.change.value
    assert {change.task for change in stage.objectives} == {TASK, "other"}
    assert stage.curve(task="other") is not None


def test_a_task_without_reward_has_its_sft_loss_only(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 1.0]), kind="sft"))
    held: HeldOut = record.heldout[TASK]
    record = dataclasses.replace(
        record,
        heldout={TASK: dataclasses.replace(held, reward=np.full_like(held.reward, np.nan))},
        kept={
            point: dataclasses.replace(scores, reward_values=None, reward_probabilities=None)
            for point, scores in record.kept.items()
        },
    )
    stage = summarise(record).stages["sft"]
    assert stage.sft_loss.change.sign != 0
    assert stage.reward.change == Unresolved("task sums has no reward")
    assert stage.split["raw"].right == Unresolved("task sums has no reward")
    assert [verdict.verdict for verdict in stage.verdicts] == ["NOT RESOLVED"]
