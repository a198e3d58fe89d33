"""A profile does not silently win over what the user says."""

from __future__ import annotations

import pytest

from interlace.errors import RecipeError
from interlace.recipe import load_recipe


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
