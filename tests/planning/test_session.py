"""A checkpoint planned from: the same figures as measured, D15 across tasks, refusals, words, JSON and the page."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import interlace
from interlace.errors import DataError, RecipeError
from interlace.estimate import Estimate
from interlace.forecasting.notes import PLAN_WITHOUT_PATHS
from interlace.planning import Plan, Session
from interlace.planning.arguments import PlanArguments
from interlace.planning.words import CAVEAT
from interlace.policies import make_embedded
from interlace.report.planning import render_plan
from interlace.tasks import Task, build_task
from tests.checkpoints.conftest import SIZES

QUICK = ("systematic", "natural")
"""Exact path models: an untrained start takes the integrated ones long to leave."""


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    kinds = {"sums": {"digits": 1}, "triples": {"digits": 1, "operands": 3}}
    return [build_task(name, {"kind": "addition", "heldout": 12, **options}, seed=0) for name, options in kinds.items()]


@pytest.fixture(scope="module")
def checkpoint(tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planned") / "start"
    make_embedded(folder, "".join(sorted(set("".join(task.alphabet for task in tasks)))), 1, SIZES)
    return folder


@pytest.fixture(scope="module")
def plan(checkpoint: Path, tasks: list[Task]) -> Plan:
    return interlace.plan(checkpoint, tasks[0], exchange_rate=0.5, path_models=QUICK)


def test_the_start_is_what_measure_finds(plan: Plan, checkpoint: Path, tasks: list[Task]) -> None:
    measured = interlace.measure(checkpoint, tasks[0])
    facts = plan.forecasts["sums"].facts
    for name, objective in (("reward", "reward"), ("sft_loss", "sft_loss")):
        assert getattr(facts, name).value == pytest.approx(measured.figure("start", objective).value)
    masses = [getattr(facts, name).value for name in ("expert_right", "expert_wrong", "other")]
    assert math.fsum(masses) == pytest.approx(1.0)


def test_where_no_path_model_speaks_the_plan_says_so_and_what_it_rests_on(plan: Plan) -> None:
    mute = dataclasses.replace(plan.forecasts["sums"], forecasts=())
    silent = dataclasses.replace(plan, forecasts={"sums": mute})
    assert PLAN_WITHOUT_PATHS in silent.sentences() and CAVEAT not in silent.sentences()
    assert PLAN_WITHOUT_PATHS in render_plan(silent).replace("&#39;", "'")
    with pytest.raises(KeyError, match="no path model speaks here"):
        silent.forecast()
    assert PLAN_WITHOUT_PATHS not in plan.sentences()


def test_a_kl_term_is_said(plan: Plan) -> None:
    with_term = dataclasses.replace(plan, options=dataclasses.replace(plan.options, kl_coefficient=0.04))
    assert any("1/beta = 25" in sentence and "not modelled" in sentence for sentence in with_term.sentences())
    assert not any("beta" in sentence for sentence in plan.sentences())


def test_a_stop_is_the_forecasts_own(plan: Plan) -> None:
    stop = plan.stop(0.5, "natural")
    asked = plan.forecast("natural").stop
    assert asked is not None and isinstance(stop.reward, Estimate) and stop.reward == asked.reward
    with pytest.raises(DataError, match="exchange_rate"):
        plan.stop(-1.0)
    assert CAVEAT in plan.sentences()
    with pytest.raises(KeyError, match="path_model must be one of"):
        plan.forecast("naturel")


def test_several_tasks_bring_their_prices(checkpoint: Path, tasks: list[Task]) -> None:
    plan = interlace.plan(checkpoint, tasks, prompts=12, path_models=QUICK)
    assert {(cost.reward_on, cost.task) for cost in plan.costs} == {(a, b) for a in plan.tasks for b in plan.tasks}
    assert sum("(D15)" in sentence for sentence in plan.sentences()) == len(plan.costs)
    assert interlace.plan(checkpoint, tasks, prompts=12, gradients=False, path_models=QUICK).costs == ()


def test_one_task_says_its_own_price_too(checkpoint: Path, tasks: list[Task]) -> None:
    plan = interlace.plan(checkpoint, tasks[0], prompts=12, gradients=True, path_models=QUICK)
    (sentence,) = [each for each in plan.sentences() if "(D15)" in each]
    assert "its own SFT loss" in sentence and plan.costs[0].task in sentence


def test_json_is_json_and_the_page_has_every_number(plan: Plan) -> None:
    found = json.loads(json.dumps(plan.to_json()))
    (task,) = found["tasks"]
    assert [each["path_model"] for each in (*task["silent"], *task["forecasts"])] == list(QUICK)
    assert "RL gains" in task["silent"][0]["reason"]  # an untrained policy gives the expert's responses to none
    assert len(task["forecasts"][0]["curve"]) == 21 and task["frontier"][0]["reward"] <= task["frontier"][1]["reward"]
    page = render_plan(plan)
    assert "What RL from start would cost" in page and "systematic" in page and "http-equiv" in page


def test_a_task_without_a_reward_says_what_it_lacks(checkpoint: Path) -> None:
    rows = [{"prompt": f"{n}+1=", "completion": str(n + 1)} for n in range(30)]
    with pytest.raises(DataError, match="task rows has no reward that RL could follow: say which, such as"):
        interlace.plan(checkpoint, Task.from_rows(rows, heldout=14))


def test_a_forecast_needs_prompts(checkpoint: Path, tasks: list[Task]) -> None:
    with pytest.raises(DataError, match="at least 12 held-out prompts, got 5"):
        interlace.plan(checkpoint, tasks[0], prompts=5)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"exchange_rate": 0.0}, "--exchange-rate must be the reward that one nat of SFT loss is worth"),
        ({"exchange_rate": math.nan}, "--exchange-rate must be"),
        ({"group_size": 1}, "--group-size must be at least 2"),
        ({"kl_coefficient": -1.0}, "--beta must be at least 0"),
        ({"prompts": 1}, "--prompts must be at least 2"),
        ({"path_models": ["naturel"]}, "--path-model must be one of"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_loading(how: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        interlace.plan("nowhere", "addition", **how)


def test_either_a_checkpoint_or_rollouts() -> None:
    with pytest.raises(RecipeError, match="a checkpoint or rollouts"):
        interlace.plan()
    with pytest.raises(RecipeError, match="a checkpoint or rollouts"):
        interlace.plan("somewhere", rollouts="example")


def test_a_kl_term_adds_its_path(checkpoint: Path, tasks: list[Task]) -> None:
    plan = interlace.plan(checkpoint, tasks[0], prompts=12, kl_coefficient=0.5, path_models=QUICK)
    regularised, natural = plan.forecast("kl_regularised"), plan.forecast("natural")
    assert regularised.curve[-1].rl_time < 2.0 + 1e-9 < natural.curve[-1].rl_time  # D7: the clock saturates at 1/beta


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        (lambda text: 0.0, "differ within 0 of 20 prompts: the variance within prompts is 0 as far as was sampled"),
        (lambda text: 1.0, "differ within 0 of 20 prompts: the variance within prompts is 0 as far as was sampled"),
        (lambda text: float(text.startswith("73")), r"within prompts \(0.*\) is not resolved above 0, so no curve"),
    ],
)
def test_a_start_whose_reward_does_not_vary_within_prompts_has_no_curve(
    checkpoint: Path, right: Callable[[str], float], sentence: str
) -> None:
    rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(10) for b in range(10)]
    task = Task.from_rows(rows, reward=lambda completions, **columns: [right(text) for text in completions])
    with pytest.raises(DataError, match=sentence):
        interlace.plan(checkpoint, task, path_models=QUICK)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"checkpoint": 5}, "plan must start from one checkpoint, named as text or a Path. Got int"),
        ({"checkpoint": ["a", "b"]}, "named as text or a Path. Got list"),
        ({"tasks": 5}, "a task must be an interlace.Task, words as of --task, or a mapping .* Got int"),
        ({"tasks": ["quickstart/sums", 5]}, "a task must be an interlace.Task, .* Got int"),
        ({"exchange_rate": "dear"}, "plan: exchange_rate must be a number. Got 'dear'"),
        ({"learning_rate": [1e-3], "batch": 8}, r"plan: learning_rate must be a number. Got \[0.001\]"),
        ({"batch": 4.5}, "plan: batch must be a whole number. Got 4.5"),
        ({"pilot_steps": None}, "plan: pilot_steps must be a whole number. Got None"),
        ({"path_models": "natural"}, "plan: path_models must be a list. Got 'natural'"),
        ({"base": 4}, "plan: base must be a path. Got 4"),
        ({"exchange_rates": 0.5}, "Got unknown key 'exchange_rates'. The nearest known key is 'exchange_rate'"),
    ],
)
def test_arguments_of_another_type_are_answered(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        interlace.plan(**{"checkpoint": "nowhere", "tasks": "quickstart/sums", **given})


def test_arguments_say_what_the_session_takes() -> None:
    """The defaults that are documented are those that hold."""
    taken = {item.name: item.default for item in dataclasses.fields(Session)}
    for name, field in PlanArguments.model_fields.items():
        assert name in ("base", "note") or field.default == taken[name], name
