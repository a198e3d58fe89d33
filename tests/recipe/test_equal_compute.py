"""Shipped shoot-outs hold compute equal, by what their arms are expected to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.dry_run import plan_recipe
from interlace.recipe import Recipe, load_recipe

TOLERANCE = 0.05
"""How far steps may be off: a step is of whole rows, and the mean lengths of a task are estimates."""


@pytest.mark.parametrize("name", ["addition", "styles", "countdown", "cross-task"])
def test_arms_take_what_half_of_them_take(name: str, tmp_path: Path) -> None:
    """But those whose compute depends on what training sees."""
    plan = plan_recipe(load_recipe(f"shootout-{name}"), tmp_path)
    arms = [stage for stage in plan.stages if stage.even_steps is not None and not stage.is_open]
    assert len(arms) > 5
    apart = {stage.stage: stage.even_steps / stage.steps for stage in arms if stage.even_steps is not None}
    assert apart == pytest.approx(dict.fromkeys(apart, 1.0), rel=TOLERANCE)


def test_stages_that_follow_each_other_have_nothing_to_be_equal_to(tmp_path: Path) -> None:
    stages = [{"sft": {"task": "sums", "max_steps": 1}}, {"rl": {"task": "sums", "max_steps": 1}}]
    recipe = Recipe.model_validate({"name": "two", "tasks": {"sums": "addition"}, "stages": stages})
    assert [stage.even_steps for stage in plan_recipe(recipe, tmp_path).stages] == [None, None]
