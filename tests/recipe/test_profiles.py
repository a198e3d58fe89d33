"""A profile does not silently win over what the user says."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from interlace.cli.app import app
from interlace.errors import RecipeError
from interlace.recipe import PROFILES, load_recipe


def test_a_profile_refuses_an_override_of_what_it_sets() -> None:
    with pytest.raises(RecipeError, match="--set stages.rl.max_steps=7 must not stand beside --profile tiny"):
        load_recipe("quickstart", ["stages.rl.max_steps=7"], profile="tiny")
    assert load_recipe("quickstart", ["stages.rl.beta=0.1"], profile="tiny").stage("rl").options["beta"] == 0.1


def test_tiny_leaves_no_seed_out_and_measures_enough_for_both_halves() -> None:
    tiny = load_recipe("shootout-styles", profile="tiny")
    assert load_recipe("shootout-styles").exclude_seeds is not None and tiny.exclude_seeds is None
    assert tiny.measure.prompts == 24
    with pytest.raises(RecipeError, match="which sets exclude_seeds"):
        load_recipe("shootout-styles", ["exclude_seeds.reward_below=0.1"], profile="tiny")


def test_third_rate_slows_all_that_follows_the_first_start() -> None:
    before, after = load_recipe("rivals-addition"), load_recipe("rivals-addition", profile="third-rate")
    assert after.name == "rivals-addition-third-rate"
    assert after.stage("sft") == before.stage("sft")
    for stage in before.stages[1:]:
        changed = after.stage(stage.name)
        kept = {key: value for key, value in changed.options.items() if key != "learning_rate"}
        assert kept == {key: value for key, value in stage.options.items() if key != "learning_rate"}
        if stage.kind != "merge":
            assert changed.options["learning_rate"] == pytest.approx(stage.options["learning_rate"] / 3, rel=1e-12)


def test_third_rate_refuses_what_it_cannot_slow() -> None:
    """TRL's own default would be left where the rest learn slower."""
    rest = {"model": "embedded", "tasks": {"sums": {"kind": "addition"}}}
    stages = [{"sft": {"task": "sums", "max_steps": 2}}, {"rl": {"task": "sums", "max_steps": 2}}]
    with pytest.raises(RecipeError, match="Stage 'rl' says none"):
        load_recipe(rest | {"stages": stages}, profile="third-rate")
    with pytest.raises(RecipeError, match="which sets learning_rate"):
        load_recipe("quickstart", ["stages.rl.learning_rate=0.1"], profile="third-rate")
    assert load_recipe("quickstart", ["stages.rl.max_steps=7"], profile="third-rate").stage("rl").max_steps == 7


def test_an_unknown_profile_is_refused_and_the_known_ones_are_in_the_help() -> None:
    with pytest.raises(RecipeError, match="third-rate"):
        load_recipe("quickstart", profile="third_rate")
    told = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).stdout
    assert all(name in told for name in PROFILES)
