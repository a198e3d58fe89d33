"""Stages that are controls are known as such."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run

SFT = "SFT again, from sft"


@pytest.mark.parametrize(
    ("second", "third", "expected"),
    [
        ({"kind": "rl"}, {"kind": "sft"}, (None, None)),
        ({"kind": "rl"}, {"kind": "sft", "options": {"start_from": "sft"}}, (None, SFT)),
        ({"kind": "sft"}, {"kind": "rl"}, (SFT, None)),
        (
            {"kind": "rl", "options": {"placebo": "strict"}},
            {"kind": "sft"},
            ("rewards permuted within each group", None),
        ),
        ({"kind": "rl"}, {"kind": "sft", "options": {"start_from": "model"}}, (None, None)),
    ],
)
def test_permuted_rewards_and_sft_after_sft_are_controls(rng, second, third, expected):
    problem = binary_problem(rng, prompts=20)
    run = tilted_run(problem, [0.0, 1.0])
    stages = [Stage(run, kind="sft"), Stage(run, name="second", **second), Stage(run, name="third", **third)]
    found = summarise(make_record(problem, *stages)).stages
    assert found[0].control is None
    assert (found["second"].control, found["third"].control) == expected
    for stage in found:
        assert ("a control" in stage.sentence) == (stage.control is not None)


def test_sft_on_another_task_is_no_control(rng):
    problem = binary_problem(rng, prompts=20)
    run = tilted_run(problem, [0.0, 1.0])
    record = make_record(problem, Stage(run, kind="sft"), Stage(run, kind="sft", name="second"))
    first = dataclasses.replace(record.stages[0], task="other")
    assert summarise(dataclasses.replace(record, stages=(first, record.stages[1]))).stages["second"].control is None


def test_sft_that_carries_its_optimizer_on_is_the_same_sft(rng):
    run = tilted_run(problem := binary_problem(rng, prompts=20), [0.0, 1.0])
    going_on = Stage(run, kind="sft", name="second", options={"fresh_optimizer": False})
    stage = summarise(make_record(problem, Stage(run, kind="sft"), going_on)).stages["second"]
    assert (stage.control, stage.started_from) == (None, "sft")


def test_a_control_is_on_the_wire(rng):
    problem = binary_problem(rng, prompts=20)
    stage = Stage(tilted_run(problem, np.linspace(0.0, 1.0, 3)), options={"placebo": "strict"})
    wire = summarise(make_record(problem, stage)).to_json()["stages"][0]
    assert (wire["control"], wire["placebo"]) == ("rewards permuted within each group", "strict")
