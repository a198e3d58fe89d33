"""What a merge stage must say, and what it is told when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.errors import RecipeError
from interlace.recipe import load_recipe
from interlace.recipe.source import parse_value

HEAD = """\
tasks: {sums: {kind: addition}}
seeds: [0, 1]
stages:
  - sft: {task: sums, max_steps: 2}
  - rl: {name: few, task: sums, start_from: sft, max_steps: 2, seeds: [1]}
  - rl: {name: one, task: sums, start_from: sft, max_steps: 2, averaged_weights: {decay: 0.9}}
  - rl: {name: two, task: sums, start_from: sft, max_steps: 2, replicate: 1}
  - """
TRAINS = "must stand in a stage that trains. Got it in kind merge. Remove it."

MISTAKES = {
    "no ends": ("merge: {task: sums}", "of must name the earlier stages whose ends are merged. Got none."),
    "unknown end": ("merge: {task: sums, of: [one, tow]}", "of must be one of few, one, sft, two. Got 'tow'."),
    "itself": ("merge: {name: m, task: sums, of: [one, m]}", "of must be one of few, one, sft, two. Got 'm'."),
    "no average": (
        "merge: {task: sums, of: [one, {stage: two, weights: averaged}]}",
        "of with weights: averaged must name a stage that keeps averaged_weights. 'two' keeps none.",
    ),
    "unknown weights": (
        "merge: {task: sums, of: [one, {stage: two, weights: mean}]}",
        "of.1.weights must be 'raw' or 'averaged'. Got 'mean'.",
    ),
    "twice": ("merge: {task: sums, of: [one, one]}", "of must not name the same weights twice."),
    "seeds": (
        "merge: {task: sums, of: [one, few]}",
        "seeds must be among those of every stage that 'merge' merges. 'few' has [1], not 0. Give both the same.",
    ),
    "unknown way": ("merge: {task: sums, of: [one, two], how: slrp}", "how must be one of linear, slerp,"),
    "weights": (
        "merge: {task: sums, of: [one, two], how: {name: slerp, weights: [1]}}",
        "how slerp: weights must be one for each of the 2 stages of `of`. Got 1.",
    ),
    "steps": (
        "merge: {task: sums, of: [one, two], max_steps: 2}",
        "a stage of kind merge must hold known keys (blend, how, name, of, seeds, start_from, task). Got unknown key "
        "'max_steps'.",
    ),
    "average": ("merge: {task: sums, of: [one, two], averaged_weights: {decay: 0.9}}", f"averaged_weights {TRAINS}"),
    "stop": ("merge: {task: sums, of: [one, two], stop: {rule: kl, nats: 1}}", f"stop {TRAINS}"),
    "forks": ("merge: {task: sums, of: [one, two], forks: {count: 4}}", f"forks {TRAINS}"),
    "optimizer": ("merge: {task: sums, of: [one, two], fresh_optimizer: false}", f"fresh_optimizer {TRAINS}"),
    "draws": ("merge: {task: sums, of: [one, two], replicate: 1}", f"replicate {TRAINS}"),
    "method": ("merge: {task: sums, of: [one, two], method: joint}", "method must stand in a stage of kind hybrid."),
    "of elsewhere": ("rl: {task: sums, max_steps: 2, of: [one]}", "of must stand in a stage of kind merge. Got it in"),
    "how elsewhere": ("sft: {task: sums, max_steps: 2, how: ties}", "how must stand in a stage of kind merge. Got it"),
    "draws below 0": ("rl: {task: sums, max_steps: 2, replicate: -1}", "replicate must be at least 0. Got -1."),
}


@pytest.mark.parametrize(("stage", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_of_merges_are_said_with_their_line(tmp_path: Path, stage: str, message: str) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text(HEAD + stage)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}:8: {message}")
    assert "\n" not in str(caught.value)


def test_a_merge_hands_on_no_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text(
        f"{HEAD}merge: {{task: sums, of: [one]}}\n  - sft: {{task: sums, max_steps: 1, fresh_optimizer: false}}"
    )
    with pytest.raises(RecipeError, match=":9: fresh_optimizer: false must follow a stage that trains. 'merge' is a"):
        load_recipe(path)


def test_a_merge_is_written_out(tmp_path: Path) -> None:
    """With its defaults, without what is of training, and read back as the same."""
    path, resolved = tmp_path / "merge.yaml", tmp_path / "resolved.yaml"
    path.write_text(HEAD + "merge: {task: sums, start_from: sft, of: [two, {stage: one, weights: averaged}]}")
    recipe = load_recipe(path)
    resolved.write_text(recipe.to_yaml())
    assert parse_value(recipe.to_yaml())["stages"][-1] == {
        "merge": {
            "task": "sums",
            "name": "merge",
            "start_from": "sft",
            "blend": None,
            "seeds": None,
            "of": [{"stage": "two", "weights": "raw"}, {"stage": "one", "weights": "averaged"}],
            "how": {"name": "linear", "weights": None},
        }
    }
    again = load_recipe(resolved)
    assert again.stages == recipe.stages and again.to_yaml() == recipe.to_yaml()


def test_a_replicate_is_written_out_where_one_is_asked_for(tmp_path: Path) -> None:
    """A recipe without it resolves to what it was before there was the option: its runs can be gone on with."""
    path = tmp_path / "merge.yaml"
    path.write_text(HEAD + "merge: {task: sums, of: [one]}")
    recipe = load_recipe(path)
    written = {stage.name: stage.to_options().get("replicate") for stage in recipe.stages}
    assert written == {"sft": None, "few": None, "one": None, "two": 1, "merge": None}


@pytest.mark.parametrize("name", ["rivals-addition", "knobs-addition"])
def test_recipes_that_stand_beside_the_shoot_out_have_its_start(name: str) -> None:
    beside, shootout = load_recipe(name), load_recipe("shootout-addition")
    assert beside.stages[0] == shootout.stages[0] and beside.tasks == shootout.tasks
    assert beside.measure == shootout.measure
    assert (beside.seeds, beside.exclude_seeds) == (shootout.seeds, shootout.exclude_seeds)
    assert all(beside.start_of(stage.name) == ("sft", "raw") for stage in beside.stages[1:])


def test_what_rivals_are_held_against_is_the_shoot_outs() -> None:
    assert load_recipe("rivals-addition").stage("rl") == load_recipe("shootout-addition").stage("rl")


def test_knobs_leave_all_else_alone() -> None:
    """Arms of one method differ in its options, their name and their steps."""
    arms: dict[str, list[dict[str, object]]] = {}
    for stage in load_recipe("knobs-addition").stages[1:]:
        options = stage.to_options()
        method = options.pop("method")
        scheduled = ("name", "max_steps", "save_steps")  # equal compute sets the steps
        arms.setdefault(method["name"], []).append({k: v for k, v in options.items() if k not in scheduled})
    del arms["joint"][-1]  # rl
    assert {method: len(each) for method, each in arms.items()} == {
        "joint": 3, "chord_mu": 3, "guarded": 3, "sequential": 3, "interleaved": 3, "luffy": 3, "frontier": 3
    }  # fmt: skip
    assert all(each == arms[method][0] for method in arms for each in arms[method])
