"""Theorems without conditions: any policy passes, a broken estimator does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.summary import AT_FAULT, NOT_RESOLVED, PASSED
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


def verdicts_of(record, stage="rl"):
    return {check.law: check.verdict for check in summarise(record).stages[stage].self_checks}


def tampered(record, step, **changes):
    """The record with fields of the scores at `step` put through functions."""
    kept = {
        point: dataclasses.replace(scores, **{name: change(getattr(scores, name)) for name, change in changes.items()})
        if point.step == step
        else scores
        for point, scores in record.kept.items()
    }
    return dataclasses.replace(record, kept=kept)


@pytest.fixture
def problem(rng):
    return binary_problem(rng)


def test_true_figures_pass_on_the_path_and_off_it(problem):
    for run in (tilted_run(problem, [0.0, 1.0, 3.0]), softmax_gradient_run(problem, 5.0, 4)):
        assert verdicts_of(make_record(problem, Stage(run))) == dict.fromkeys(("A9", "A10", "A11", "D13"), PASSED)


def test_a_stage_that_changed_nothing_passes(problem):
    record = make_record(problem, Stage({0: problem.reference, 10: problem.reference}))
    assert verdicts_of(record) == dict.fromkeys(("A9", "A10", "A11", "D13"), PASSED)


def test_a_kl_that_is_too_small_for_the_reward_is_at_fault(problem):
    record = tampered(make_record(problem, Stage(tilted_run(problem, [0.0, 3.0]))), 10, kl=lambda kl: kl / 20.0)
    verdicts = verdicts_of(record)
    assert (verdicts["A9"], verdicts["A10"]) == (AT_FAULT, AT_FAULT)


def test_A10_sees_a_kl_error_that_the_bound_A9_does_not(problem):
    record = tampered(make_record(problem, Stage(tilted_run(problem, [0.0, 3.0]))), 10, kl=lambda kl: kl * 0.9)
    verdicts = verdicts_of(record)
    assert (verdicts["A9"], verdicts["A10"]) == (PASSED, AT_FAULT)


def test_an_sft_loss_below_what_its_reward_costs_is_at_fault(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 5.0])))
    record = tampered(record, 10, expert_logprobs=lambda logprobs: logprobs + 1.0)
    assert verdicts_of(record)["D13"] == AT_FAULT


def test_an_unknown_expert_has_no_floor(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 5.0])), known=False)
    assert verdicts_of(record)["D13"] == NOT_RESOLVED


def test_what_is_not_measured_is_not_resolved(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 3.0])))
    without_kl = dataclasses.replace(record, kept={p: dataclasses.replace(s, kl=None) for p, s in record.kept.items()})
    verdicts = verdicts_of(without_kl)
    assert (verdicts["A9"], verdicts["A10"]) == (NOT_RESOLVED, NOT_RESOLVED)


def test_a_wide_interval_passes_nothing(problem):
    noise = np.random.default_rng(0).normal(0.0, 30.0, size=problem.prompts.size)
    record = tampered(make_record(problem, Stage(tilted_run(problem, [0.0, 3.0]))), 10, kl=lambda kl: kl + noise)
    assert verdicts_of(record)["A10"] == NOT_RESOLVED


def test_sft_stages_are_checked_without_the_tilt(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 3.0]), kind="sft"))
    assert set(verdicts_of(record, "sft")) == {"A9", "A11", "D13"}


def test_a_fault_is_the_first_advice(problem):
    record = tampered(make_record(problem, Stage(tilted_run(problem, [0.0, 3.0]))), 10, kl=lambda kl: kl / 20.0)
    assert summarise(record).advice[0].startswith("Do not use the figures of rl yet: A9, A10 failed")
