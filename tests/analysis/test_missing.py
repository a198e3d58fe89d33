"""Runs that lack the expert, or everything: each figure says why it is missing, and the report draws the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import AVERAGED, RAW, HeldOut
from interlace.report import render
from tests.analysis.worlds import TASK, Stage, binary_problem, make_record, tilted_run

NO_EXPERT = Unresolved("the task has no expert responses")
NOT_YET = Unresolved("task sums was not measured yet")


@pytest.fixture
def record(rng):
    problem = binary_problem(rng, prompts=40)
    run = tilted_run(problem, [0.0, 1.0, 2.0])
    return make_record(problem, Stage(run, averaged={20: run[10]}, line={0.5: run[10]}), Stage(run, kind="sft"))


@pytest.fixture
def rewarded(record):
    """The same run on a task of prompts and a reward alone."""
    none = np.zeros(0)
    held = HeldOut(TASK, 40, np.zeros(0, int), none, none, np.zeros(0, int), expert_is_known=False)
    kept = {point: dataclasses.replace(scores, expert_logprobs=None) for point, scores in record.kept.items()}
    return dataclasses.replace(record, kept=kept, heldout={TASK: held})


@pytest.fixture
def begun(record):
    """The same run, killed before its held-out set was written."""
    stages = tuple(dataclasses.replace(stage, measurements=(), steps_done=0, finished=False) for stage in record.stages)
    return dataclasses.replace(record, kept={}, heldout={}, stages=stages)


def test_without_expert_responses_the_reward_is_still_told(rewarded):
    stage = summarise(rewarded).stages["rl"]
    assert stage.reward.change.sign == 1 and isinstance(stage.reward.before, Estimate)
    assert stage.objective("reward", AVERAGED).change.sign == 1
    assert "raised reward" in stage.sentence and "the task has no expert responses" in stage.sentence


def test_without_expert_responses_all_that_needs_them_says_so(rewarded):
    for stage in summarise(rewarded).stages:
        losses = [item.change for item in stage.objectives if item.objective != "reward"]
        marks, split = stage.landmarks[RAW], stage.split[RAW]
        passed = (marks.parity_step, marks.parity_crossing, marks.least_sft_loss, marks.reward_at_least_sft_loss)
        assert {*losses, *passed, stage.expert_reward, split.right, split.wrong} == {NO_EXPERT}
        assert all(NO_EXPERT.reason in verdict.sentence for verdict in stage.verdicts)
    assert summarise(rewarded).stages["rl"].split[RAW].tilt == NO_EXPERT


def test_scores_of_no_responses_are_no_scores(rewarded):
    kept = {p: dataclasses.replace(scores, expert_logprobs=np.zeros(0)) for p, scores in rewarded.kept.items()}
    assert summarise(dataclasses.replace(rewarded, kept=kept)).stages["rl"].sft_loss.change == NO_EXPERT


def test_a_run_that_has_only_begun_is_summarised(begun):
    summary = summarise(begun)
    assert summary.stages.names == ("rl", "sft")
    for stage in summary.stages:
        figures = [figure for item in stage.objectives for figure in (item.before, item.after, item.change)]
        assert {*figures, stage.expert_reward, stage.parity_step, stage.split[RAW].right} == {NOT_YET}
        assert "not measured yet" in stage.sentence


@pytest.mark.parametrize("which", ["rewarded", "begun"])
def test_both_have_a_page(which, request):
    record = request.getfixturevalue(which)
    summary = summarise(record)
    page = render([(record, summary)])
    assert "not resolved" in page and summary.stages["rl"].sentence
    assert render([(record, summary), (dataclasses.replace(record, seed=1), dataclasses.replace(summary, seed=1))])
