"""Shipped shoot-outs hold compute equal, by what their arms are expected to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.analysis.shootout.compute import even_factors
from interlace.dry_run import plan_recipe
from interlace.dry_run.prices import mean_tokens
from interlace.recipe import Recipe, load_recipe
from interlace.stages.spending import Lengths
from interlace.tasks import Task

TOLERANCE, WHERE_OPEN = 0.05, 0.1
"""How far steps may be off: a step is of whole rows, and the mean lengths of a task are estimates; what depends on
training is expected at most, and recipes take what it came to."""


@pytest.mark.parametrize("name", ["addition", "styles", "countdown", "cross-task"])
def test_arms_take_what_half_of_them_take(name: str, tmp_path: Path) -> None:
    plan = plan_recipe(load_recipe(f"shootout-{name}"), tmp_path)
    arms = [stage for stage in plan.stages if stage.even_steps is not None]
    assert len(arms) > 5
    for stage in arms:
        assert stage.even_steps == pytest.approx(stage.steps, rel=WHERE_OPEN if stage.is_open else TOLERANCE), stage


def test_a_path_of_stages_takes_as_a_whole_what_one_stage_takes(tmp_path: Path) -> None:
    """SFT, then joint training beside RL -> SFT: of each arm the compute at the steps that are said."""
    plan = plan_recipe(load_recipe("quickstart"), tmp_path)
    even = {stage.kind: stage for stage in plan.stages if stage.even_steps is not None}
    assert [stage.stage for stage in even.values()] == ["02-rl", "03-sft-2", "04-joint"]
    spent = {kind: stage.compute / stage.steps * (stage.even_steps or 0) for kind, stage in even.items()}
    assert spent["rl"] + spent["sft"] == pytest.approx(spent["hybrid"], rel=0.02)
    assert all(stage.even_steps == pytest.approx(stage.steps, rel=TOLERANCE) for stage in even.values())


def test_what_paths_share_stays_and_the_rest_makes_up_for_it() -> None:
    """Ends of 4, 6, 9 and 3, whose lower median is 4; two begin with 3, so that 1 is left to each."""
    paths = [("joint",), ("rl",), ("rl", "sft"), ("rl", "mix"), ("rl", "mix", "more"), ("short",)]
    compute = {"joint": 4.0, "rl": 3.0, "sft": 3.0, "mix": 2.0, "more": 4.0, "short": 3.0}
    assert even_factors(paths, compute) == pytest.approx(
        {"joint": 1.0, "rl": 1.0, "sft": 1 / 3, "mix": 1 / 6, "more": 1 / 6, "short": 4 / 3}
    )
    dear = even_factors([("joint",), ("rl",), ("rl", "sft"), ("rl", "mix"), ("short",)], compute | {"rl": 5.0})
    assert dear == pytest.approx({"joint": 1.0, "rl": 1.0, "short": 4 / 3})


def test_a_stage_that_may_stop_takes_at_most_its_steps(tmp_path: Path) -> None:
    stages = [
        {"rl": {"task": "sums", "max_steps": 1}},
        {"rl": {"task": "sums", "max_steps": 1, "stop": {"rule": "parity"}}},
    ]
    recipe = Recipe.model_validate({"name": "two", "tasks": {"sums": "addition"}, "stages": stages})
    assert [stage.is_open for stage in plan_recipe(recipe, tmp_path).stages] == [False, True]


def test_a_chat_prompt_is_as_long_as_what_it_says() -> None:
    rows = [{"prompt": [{"role": "user", "content": f"{n:04}"}], "completion": "seven77"} for n in range(10)]
    mean = mean_tokens(Task.from_rows(rows), "a-model")
    assert mean == Lengths(prompt=1.0, response=1.0 + 7 / 4)


def test_stages_that_follow_each_other_have_nothing_to_be_equal_to(tmp_path: Path) -> None:
    stages = [{"sft": {"task": "sums", "max_steps": 1}}, {"rl": {"task": "sums", "max_steps": 1}}]
    recipe = Recipe.model_validate({"name": "two", "tasks": {"sums": "addition"}, "stages": stages})
    assert [stage.even_steps for stage in plan_recipe(recipe, tmp_path).stages] == [None, None]
