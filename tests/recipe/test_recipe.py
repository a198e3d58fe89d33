"""What a recipe resolves to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from interlace.recipe import Recipe, apply_profile, load_recipe, shipped_recipes
from interlace.recipe.source import parse_value

WrittenRecipe = Callable[..., Path]
NEEDS_DATA = {"smollm2-cola", "coupling-smollm2-cola", "shootout-smollm2-cola", "paper-qwen3-0.6b-cola"}


def shipped(name: str) -> Recipe:
    return load_recipe(name, ["tasks.cola.path=cola.tsv"] if name in NEEDS_DATA else [])


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_resolves_to_itself(name: str, tmp_path: Path) -> None:
    recipe = shipped(name)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(recipe.to_yaml())
    assert load_recipe(resolved) == recipe
    assert load_recipe(resolved).to_yaml() == recipe.to_yaml()
    assert recipe.name == name
    assert recipe.description


def test_quickstart_is_sft_rl_sft_and_both_losses_at_once_beside_rl_sft() -> None:
    recipe = shipped("quickstart")
    assert [(stage.kind, stage.name) for stage in recipe.stages] == [
        ("sft", "sft"),
        ("rl", "rl"),
        ("sft", "sft-2"),
        ("hybrid", "joint"),
    ]
    assert recipe.stage("joint").start_from == "sft"


def test_controls_share_the_first_stage_of_quickstart() -> None:
    quickstart, controls = shipped("quickstart"), shipped("quickstart-controls")
    assert controls.stages[0] == quickstart.stages[0]
    assert controls.tasks == quickstart.tasks
    placebo, again = controls.stages[1:]
    assert placebo.options == quickstart.stage("rl").options
    assert (placebo.placebo, placebo.start_from) == ("strict", "sft")
    assert again.options == quickstart.stage("sft-2").options
    assert (again.start_from, again.fresh_optimizer) == ("sft", True)


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("coupling")])
def test_the_arms_of_a_coupling_recipe_differ_from_rl_in_what_they_are_named_after(name: str) -> None:
    recipe = shipped(name)
    arms = {stage.name: stage for stage in recipe.stages if stage.kind == "rl"}
    base = arms.pop("rl", None) or arms.pop("beta-0")
    assert recipe.exclude_seeds is not None and recipe.exclude_seeds.stage == recipe.stages[0].name
    for stage in arms.values():
        changed = {key for key, value in stage.to_options().items() if base.to_options().get(key) != value} - {
            "name",
            "seeds",
        }
        beta, rate = {"beta"}, {"learning_rate"}
        expected = {"placebo": {"placebo"}, "rl-half": rate, "rl-first": {"start_from"}}
        assert changed == expected.get(stage.name, beta), stage.name
    if "rl-half" in arms:
        assert arms["rl-half"].options["learning_rate"] == base.options["learning_rate"] / 2
        start, sft = recipe.stages[0].name, recipe.stage("sft")
        assert recipe.start_of("sft") == recipe.start_of("rl-first") == (start, "raw") and not sft.fresh_optimizer
        assert recipe.start_of("sft-after-rl") == ("rl-first", "raw")
        again = recipe.stage("sft-again")
        assert recipe.start_of("sft-again") == ("sft", "raw") and again.fresh_optimizer
        assert recipe.stage("sft-after-rl").max_steps == sft.max_steps


def test_changing_one_arm_changes_no_other() -> None:
    recipe = load_recipe("coupling-addition", ["stages.placebo.averaged_weights.decay=0.5"])
    decays = {stage.name: stage.averaged_weights.decay for stage in recipe.stages if stage.averaged_weights}
    assert decays.pop("placebo") == 0.5 and set(decays.values()) == {0.97}


def test_defaults_are_written_out(write_recipe: WrittenRecipe) -> None:
    resolved = parse_value(load_recipe(write_recipe()).to_yaml())
    assert resolved["name"] == "mini"
    assert resolved["model"] == "embedded"
    assert resolved["tasks"]["sums"]["expert_error"] == 0.5
    assert (
        resolved["stages"][1]["rl"] | {"max_steps": 2, "algorithm": "grpo", "start_from": "raw"}
        == resolved["stages"][1]["rl"]
    )


def test_source_is_the_authors_text(write_recipe: WrittenRecipe) -> None:
    path = write_recipe()
    assert load_recipe(path).source == path.read_text()
    bare = Recipe.model_validate(parse_value(path.read_text()) | {"name": "bare"})
    assert bare.source == bare.to_yaml()


def test_a_recipe_is_frozen(write_recipe: WrittenRecipe) -> None:
    with pytest.raises(ValidationError):
        load_recipe(write_recipe()).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("key", ["stages.1.rl.max_steps", "stages.1.max_steps", "stages.rl.max_steps"])
def test_a_stage_goes_by_number_or_name(write_recipe: WrittenRecipe, key: str) -> None:
    assert load_recipe(write_recipe(), [f"{key}=7"]).stage("rl").max_steps == 7


def test_overrides_make_the_mappings_on_their_way(write_recipe: WrittenRecipe) -> None:
    recipe = load_recipe(write_recipe(), ["stages.rl.averaged_weights.decay=0.5", "seeds=[3, 4]"])
    average = recipe.stage("rl").averaged_weights
    assert average is not None
    assert average.decay == 0.5
    assert recipe.seeds == (3, 4)


def test_the_last_override_wins(write_recipe: WrittenRecipe) -> None:
    assert load_recipe(write_recipe(), ["measure.every=3", "measure.every=5"]).measure.every == 5


def test_a_path_is_short_for_a_files_task(write_recipe: WrittenRecipe) -> None:
    recipe = load_recipe(write_recipe(), ["tasks.more=data/rows.csv", "stages.rl.task=data/pairs.jsonl"])
    assert (recipe.tasks["more"]["kind"], recipe.tasks["more"]["path"]) == ("files", "data/rows.csv")
    assert (recipe.stage("rl").task, recipe.tasks["pairs"]["path"]) == ("pairs", "data/pairs.jsonl")


def stage_tasks(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """Stage -> its task's name and file."""
    return {stage.name: (stage.task, recipe.tasks[stage.task].get("path", "")) for stage in recipe.stages}


def test_files_of_one_name_are_tasks_of_their_own(write_recipe: WrittenRecipe) -> None:
    files = {"sft": "a/cola.tsv", "rl": "b/cola.tsv"}
    recipe = load_recipe(write_recipe(), [f"stages.{stage}.task={file}" for stage, file in files.items()])
    assert stage_tasks(recipe) == {"sft": ("cola", "a/cola.tsv"), "rl": ("cola-2", "b/cola.tsv")}


def test_a_file_does_not_hide_behind_a_task_of_its_name(write_recipe: WrittenRecipe) -> None:
    recipe = load_recipe(write_recipe("  sums:", "  cola:"), ["stages.sft.task=cola", "stages.rl.task=data/cola.tsv"])
    assert stage_tasks(recipe) == {"sft": ("cola", ""), "rl": ("cola-2", "data/cola.tsv")}


def test_a_file_named_twice_is_one_task(write_recipe: WrittenRecipe) -> None:
    recipe = load_recipe(
        write_recipe(), ["tasks.cola=data/cola.tsv", "stages.sft.task=data/cola.tsv", "stages.rl.task=data/cola.tsv"]
    )
    assert stage_tasks(recipe) == dict.fromkeys(("sft", "rl"), ("cola", "data/cola.tsv"))
    assert list(recipe.tasks) == ["sums", "cola"]


def test_names_that_files_give_are_plain(write_recipe: WrittenRecipe) -> None:
    path = write_recipe()
    recipe = load_recipe(path.rename(path.with_name("my recipe.v2.yaml")), ["stages.rl.task=data/my rows.csv"])
    assert (recipe.name, recipe.stage("rl").task) == ("my-recipe.v2", "my-rows")


def test_a_kind_is_short_for_its_defaults(write_recipe: WrittenRecipe) -> None:
    assert load_recipe(write_recipe(), ["tasks.plain=addition"]).tasks["plain"]["digits"] == 2


def test_where_stages_start() -> None:
    recipe = shipped("smollm2-cola")
    starts = {stage.name: recipe.start_of(stage.name) for stage in recipe.stages}
    assert starts == {
        "sft": (None, "raw"),
        "rl": ("sft", "raw"),
        "sft-2": ("rl", "raw"),
        "format": (None, "raw"),
        "rl-first": ("format", "raw"),
        "sft-after-rl": ("rl-first", "raw"),
    }
    averaged = load_recipe("quickstart", ["stages.rl.start_from=averaged", "stages.sft-2.start_from=sft"])
    assert averaged.start_of("rl") == ("sft", "averaged")
    assert averaged.start_of("sft-2") == ("sft", "raw")


def test_a_recipe_of_one_seed(write_recipe: WrittenRecipe) -> None:
    recipe = load_recipe(write_recipe(), ["seeds=[0, 1]"])
    assert recipe.for_seed(1).seeds == (1,)
    assert recipe.for_seed(0) != recipe


def test_pasted_trl_options_keep_their_names_and_values(write_recipe: WrittenRecipe) -> None:
    pasted = "max_steps: 2\n      num_generations: 4\n      beta: 0.04\n      loss_type: dr_grpo\n      optim: sgd"
    options = load_recipe(write_recipe("max_steps: 2", pasted)).stage("rl").options
    assert options == {"max_steps": 2, "num_generations": 4, "beta": 0.04, "loss_type": "dr_grpo", "optim": "sgd"}


def test_options_get_trls_types(write_recipe: WrittenRecipe) -> None:
    """What a pasted YAML has in quotes; `auto` is what TRL's booleans do not know."""
    pasted = "max_steps: '2'\n      learning_rate: '1e-5'\n      lr_scheduler_type: constant"
    for bf16, kept in (("auto", "auto"), ("true", True), ("false", False)):
        options = load_recipe(write_recipe("max_steps: 2", f"{pasted}\n      bf16: {bf16}")).stage("rl").options
        assert options == {"max_steps": 2, "learning_rate": 1e-5, "lr_scheduler_type": "constant", "bf16": kept}


def test_a_recipe_may_be_a_mapping_or_a_recipe(write_recipe: WrittenRecipe) -> None:
    path = write_recipe()
    tree = parse_value(path.read_text()) | {"name": "mini"}
    recipe = load_recipe(tree)
    assert recipe == load_recipe(path)
    assert tree == parse_value(path.read_text()) | {"name": "mini"}
    again = load_recipe(load_recipe(path), ["stages.rl.beta=0.1"], seeds=[1, 2], profile="tiny")
    assert (again.name, again.stage("rl").options["beta"], again.seeds) == ("mini-tiny", 0.1, (1, 2))
    assert again.source == path.read_text()


def test_a_task_that_is_handed_over_stands_in_the_recipe(tmp_path: Path) -> None:
    stages = ({"sft": {"task": "mine", "max_steps": 2}},)
    recipe = load_recipe({"name": "by-hand", "stages": stages}, ["stages.sft.max_steps=1"], given=["mine"])
    assert recipe.tasks == {"mine": {"kind": "given"}}
    (tmp_path / "resolved.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "resolved.yaml") == recipe
    assert load_recipe("quickstart", given=["sums"]).tasks == {"sums": {"kind": "given"}}


def test_tiny_keeps_the_shape_and_little_else() -> None:
    recipe = apply_profile(shipped("quickstart"), "tiny")
    assert recipe.name == "quickstart-tiny"
    assert [stage.name for stage in recipe.stages] == ["sft", "rl", "sft-2", "joint"]
    assert all((stage.max_steps or 0) <= 4 for stage in recipe.stages)
    group = recipe.stage("rl").options["num_generations"]
    assert recipe.stage("rl").options["per_device_train_batch_size"] % group == 0


def test_schema_describes_a_file() -> None:
    schema = Recipe.json_schema()
    json.dumps(schema)
    entry, options = schema["$defs"]["StageConfig"], schema["$defs"]["StageOptions"]
    assert (entry["minProperties"], entry["maxProperties"]) == (1, 1)
    assert "placebo" in options["properties"]
    assert "kind" not in options["properties"]
    assert schema["properties"]["measure"]["description"]
