"""The verbs in Python: what they take, and how they refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

import interlace
from interlace.api import _named
from interlace.errors import RecipeError
from interlace.readback import _compared, _folder


def test_what_is_handed_over_must_be_a_task() -> None:
    with pytest.raises(RecipeError) as caught:
        _named({"mine": [{"prompt": "1+1=", "completion": "2"}]})
    assert str(caught.value) == ("tasks must hold interlace.Task. Got list for 'mine'. Make one with Task.from_rows.")


def test_overrides_of_a_recipe_object_are_applied_and_checked(tmp_path: Path) -> None:
    recipe = interlace.load_recipe("quickstart")
    with pytest.raises(
        RecipeError, match="--set stages.rl.max_step: a stage of kind rl .* nearest known key is 'max_s"
    ):
        interlace.run(recipe, tmp_path / "run", overrides=["stages.rl.max_step=1"])
    with pytest.raises(RecipeError, match="--seeds: seeds must differ"):
        interlace.run(recipe, tmp_path / "run", seeds=[0, 0])
    assert not (tmp_path / "run").exists()


def test_runs_to_compare_are_paths_and_arguments_of_their_type() -> None:
    with pytest.raises(RecipeError) as caught:
        _folder(["runs/a", "runs/b"])
    assert str(caught.value) == "RUN must be a path, each run by itself. Got list. Write *runs for a list."
    with pytest.raises(RecipeError, match="RUN must be named to be compared. Got none"):
        _compared([], None, 0.5)
    with pytest.raises(RecipeError, match="against must be an arm's name, or None. Got int"):
        _compared(["runs"], 0, 0.5)
    for wrong in ("much", True, None):
        with pytest.raises(RecipeError, match=f"exchange_rate must be a number. Got {type(wrong).__name__}"):
            _compared(["runs"], None, wrong)


def test_a_run_of_a_given_task_needs_it_again(tmp_path: Path) -> None:
    recipe = interlace.load_recipe("quickstart", given=["sums"])
    with pytest.raises(RecipeError, match="task 'sums' must be handed over in Python"):
        interlace.run(recipe, tmp_path / "run", profile="tiny")
    assert not (tmp_path / "run").exists()
