"""A plan in optimizer steps: pilots are the stage's own first steps, and leave the checkpoint and all else alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import interlace
from interlace.checkpoints.found import find_checkpoints
from interlace.checkpoints.loading import load_checkpoint
from interlace.errors import RecipeError, TrainingError
from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import Pilots
from interlace.planning import Pace, PilotStage, Plan, piloting
from interlace.planning.piloting import pilot_seed, take_pilots
from interlace.planning.words import ASSUMED
from interlace.report.planning import render_plan
from interlace.store import read_run
from interlace.tasks import Task, build_task
from tests.checkpoints.conftest import SIZES

STEPS = 8
RL = {"learning_rate": 3e-3, "per_device_train_batch_size": 32, "num_generations": 4, "lr_scheduler_type": "constant"}


@pytest.fixture(scope="module")
def sums() -> Task:
    return build_task("sums", {"kind": "addition", "digits": 1, "heldout": 12}, seed=0)


@pytest.fixture(scope="module")
def run(sums: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little SFT, then the RL stage that is planned, read after every step."""
    sft = {"task": "sums", "max_steps": 40, "per_device_train_batch_size": 32, "learning_rate": 1e-2}
    rl = {"task": "sums", "max_steps": STEPS, "measure_every": 1, **RL}
    recipe = {"name": "planned", "model": "embedded", "model_options": SIZES, "stages": [{"sft": sft}, {"rl": rl}]}
    folder = tmp_path_factory.mktemp("steps") / "run"
    interlace.run(recipe, folder, tasks={"sums": sums}, seeds=[pilot_seed(0, 0)])
    return folder


@pytest.fixture(scope="module")
def taken() -> list[Pilots]:
    """The pilots that `plan` takes."""
    return []


@pytest.fixture(scope="module")
def plan(run: Path, sums: Task, taken: list[Pilots]) -> Iterator[Plan]:
    def watched(*given: Any) -> Pilots:
        states = random.getstate(), torch.random.get_rng_state()
        taken.append(take_pilots(*given))
        assert states[0] == random.getstate() and torch.equal(states[1], torch.random.get_rng_state())
        return taken[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piloting, "take_pilots", watched)
        yield planned(run, sums)


def planned(run: Path, task: Task, **how: object) -> Plan:
    asked = {"learning_rate": 3e-3, "batch": 32, "group_size": 4, "pilot_steps": STEPS, "exchange_rate": 0.5}
    return interlace.plan(run / "stages" / "01-sft", task, path_models=("natural",), **{**asked, **how})


def readings(run: Path) -> dict[int, float]:
    (stage,) = (each for each in read_run(run).stages if each.kind == "rl")
    found = (m for m in stage.measurements if m.quantity == "reward" and m.point.weights == "raw")
    return {m.point.step: m.figure.value for m in found if isinstance(m.figure, Estimate)}


def test_a_pilot_is_the_stage_itself(plan: Plan, taken: list[Pilots], run: Path) -> None:
    """With the run's seed and options, the first pilot reads at every step what the run's RL stage read."""
    assert plan.paces
    (pilots,) = taken
    came = readings(run)
    assert (pilots.bottom, pilots.top) == (0.0, 1.0) and pilots.steps.tolist() == list(range(1, STEPS + 1))
    assert pilots.start == pytest.approx(came[0], abs=1e-6)
    assert pilots.rewards[0] == pytest.approx([came[step] for step in range(1, STEPS + 1)], abs=1e-6)
    assert len({*pilots.rewards[:, -1].tolist()}) == len(pilots.rewards) == 4


def test_the_plan_says_the_steps_of_every_reward_that_it_names(plan: Plan) -> None:
    pace = plan.paces["sums"]
    assert isinstance(pace, Pace) and isinstance(pace.first_gain, Estimate) and isinstance(pace.gain, Estimate)
    variance = plan.forecasts["sums"].facts.reward_variance
    assert pace.rl_time.value == pytest.approx(pace.first_gain.value / variance.value)
    assert [(each.landmark, each.path_model) for each in pace.landmarks] == [
        ("parity", None), ("least SFT loss", "natural"), ("best stop", "natural")
    ]  # fmt: skip
    stop = plan.forecast("natural").stop
    assert stop is not None and pace.landmarks[-1].reward == stop.reward
    assert [step for step, _ in pace.ahead] == [STEPS, 2 * STEPS, 3 * STEPS]
    words = "\n".join(plan.sentences())
    assert "4 pilots of 8 steps at a learning rate of 0.003, 32 completions in groups of 4" in words
    assert "Steps to parity, reward" in words and ASSUMED in words


def test_json_and_the_page_have_the_steps(plan: Plan) -> None:
    (task,) = json.loads(json.dumps(plan.to_json()))["steps"]
    assert task["task"] == "sums" and task["pilots"]["learning_rate"] == 3e-3 and len(task["steps_to"]) == 3
    assert {"reward", "steps"} <= set(task["steps_to"][0]) and task["first_gain"]["n"] == 4
    page = render_plan(plan)
    assert "In optimizer steps" in page and "4 pilots of 8 steps" in page and "Reward of a run at step 24" in page


def test_a_task_too_small_for_a_step_says_so(run: Path, sums: Task) -> None:
    found = planned(run, sums, batch=4 * len(sums.train) + 4)
    pace = found.paces["sums"]
    assert isinstance(pace, Unresolved) and f"there are {len(sums.train)} to train on" in pace.reason
    assert "no steps, because a step asks" in str(found)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"learning_rate": 3e-4}, "--learning-rate and --batch must stand together.*Got --learning-rate alone"),
        ({"batch": 256}, "Got --batch alone"),
        ({"learning_rate": 0.0, "batch": 256}, "--learning-rate must lie between 0 and 1. Got 0.0"),
        ({"learning_rate": 3e-4, "batch": 100}, "--batch must be a multiple of the 8 completions.*Say --batch 96"),
        ({"learning_rate": 3e-4, "batch": 256, "pilot_steps": 5}, "--pilot-steps must be at least 8"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_loading(how: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        interlace.plan("nowhere", "addition", **how)


def test_sampled_rewards_are_read_now_and_then() -> None:
    assert piloting._looks(20, every=piloting.SAMPLED_EVERY) == [1, 5, 10, 15, 20]
    assert piloting._looks(8, every=piloting.SAMPLED_EVERY) == [1, 5, 8]
    assert piloting._looks(9, every=1) == list(range(1, 10))


def test_a_pilot_whose_reward_is_lost_is_refused(run: Path, sums: Task) -> None:
    (checkpoint,) = find_checkpoints([run / "stages" / "01-sft"])
    stage = PilotStage(learning_rate=3e-3, batch=8, group_size=4, steps=1)
    with pytest.raises(
        TrainingError, match="a pilot must do 1 steps and stay finite. Got 1 of 1 readings, or one that"
    ):
        piloting._one(load_checkpoint(checkpoint), sums, stage, 0, frozenset({1}), lambda at: math.nan)
