"""A control takes the mean share of imitation of an earlier stage of its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.errors import RecipeError
from interlace.pipeline import run_recipe
from interlace.recipe import Recipe
from interlace.store import read_run

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "head_dim": 8}
COMMON = {"task": "sums", "start_from": "model", "per_device_train_batch_size": 8, "num_generations": 4}


def recipe(*methods: dict[str, object]) -> Recipe:
    stages = [
        {"hybrid": {**COMMON, "name": f"stage-{place}", "method": method, "max_steps": 6, "save_steps": 6}}
        for place, method in enumerate(methods)
    ]
    return Recipe.model_validate(
        {
            "name": "matched",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "heldout": 8}},
            "stages": stages,
            "measure": {"every": 3},
        }
    )


def test_controls_have_the_mean_share_of_the_stage_that_they_are_like(tmp_path: Path) -> None:
    """Two updates of imitation to one of RL: two thirds; as a weight exactly, as a coin on average."""
    cycle = {"name": "interleaved", "sft_steps": 2, "rl_steps": 1}
    (folder,) = run_recipe(
        recipe(cycle, {"name": "joint", "like": "stage-0"}, {"name": "random_switch", "like": "stage-0"}),
        tmp_path,
    )
    stages = read_run(folder).stages
    shares = [stage.spent[6]["imitation_share"] / 6 for stage in stages]
    assert shares[:2] == pytest.approx([2 / 3, 2 / 3]) and 0.0 < shares[2] <= 1.0
    assert [any("share of imitation 0.6667" in text for text in stage.flags) for stage in stages] == [False, True, True]
    assert "like" not in stages[0].options["method"]
    told = [stage.options["method"] for stage in stages[1:]]
    assert all(each["like"] == "stage-0" and not {"mu", "rate"} & each.keys() for each in told)


def test_a_stage_without_a_share_is_no_model_for_a_control(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'stage-0' has no look that says it"):
        run_recipe(recipe({"name": "luffy"}, {"name": "joint", "like": "stage-0"}), tmp_path)
