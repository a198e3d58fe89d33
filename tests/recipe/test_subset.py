"""A part of a recipe's stages has all that it needs, and no more."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from interlace.cli.app import app
from interlace.errors import RecipeError
from interlace.recipe import load_recipe


def names(*only: str, recipe: str = "shootout-addition") -> list[str]:
    return [stage.name for stage in load_recipe(recipe, only=only).stages]


def test_stages_bring_what_they_begin_with_merge_and_are_like() -> None:
    assert names("rl") == ["sft", "rl"]
    assert names("hpt-switch", "joint") == ["sft", "joint", "hpt", "hpt-switch"]
    assert names("merge-averaged", recipe="rivals-addition") == ["sft", "rl", "rl-b", "rl-c", "merge-averaged"]
    assert names(recipe="quickstart") == [stage.name for stage in load_recipe("quickstart").stages]


def test_the_stage_before_stays_the_stage_before() -> None:
    """Where one goes on with the weights of the stage before it, whatever that is called."""
    stages = [{"sft": {"task": "sums", "max_steps": 2, "learning_rate": 0.1}}] * 3
    recipe = {"model": "embedded", "tasks": {"sums": {"kind": "addition"}}, "stages": stages}
    found = load_recipe(recipe, only=["sft-2"])
    assert [stage.name for stage in found.stages] == ["sft", "sft-2"] and found.start_of("sft-2") == ("sft", "raw")


def test_the_stage_by_which_seeds_are_left_out_is_kept() -> None:
    stages = [{"sft": {"task": "sums", "max_steps": 2, "name": name}} for name in ("one", "other")]
    recipe = {"model": "embedded", "tasks": {"sums": {"kind": "addition"}}, "stages": stages}
    stages[1]["sft"]["start_from"] = "model"
    assert [each.name for each in load_recipe(recipe, only=["other"]).stages] == ["other"]
    recipe["exclude_seeds"] = {"stage": "one", "reward_below": 0.1}
    assert [each.name for each in load_recipe(recipe, only=["other"]).stages] == ["one", "other"]


def test_a_stage_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="--only must be one of .* Did you mean 'joint'"):
        names("jiont")


def test_no_stage_at_all_is_refused_on_the_command_line() -> None:
    told = CliRunner().invoke(app, ["run", "quickstart", "--only", " , "])
    assert isinstance(told.exception, RecipeError) and "--only must name stages" in str(told.exception)


def test_a_profile_is_of_the_part() -> None:
    found = load_recipe("rivals-addition", only=["rl"], profile="third-rate")
    assert [stage.name for stage in found.stages] == ["sft", "rl"] and found.name == "rivals-addition-third-rate"


def test_a_control_has_the_options_of_trl_that_the_method_has_which_it_is_like() -> None:
    """HPT does not divide advantages by their spread: a switch at its share that does would differ in more."""
    recipe = load_recipe("shootout-countdown")
    assert recipe.stage("hpt").options["scale_rewards"] == recipe.stage("hpt-switch").options["scale_rewards"] == "none"
    assert "scale_rewards" not in recipe.stage("random-switch").options
    said = load_recipe("shootout-countdown", ["stages.hpt.scale_rewards=batch"])
    assert said.stage("hpt").options["scale_rewards"] == said.stage("hpt-switch").options["scale_rewards"] == "batch"
    assert load_recipe(recipe).stage("hpt-switch").options == recipe.stage("hpt-switch").options
