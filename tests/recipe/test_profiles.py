"""A profile does not silently win over what the user says."""

from __future__ import annotations

import pytest

from interlace.errors import RecipeError
from interlace.recipe import load_recipe


def test_a_profile_refuses_an_override_of_what_it_sets() -> None:
    with pytest.raises(RecipeError, match="--set stages.rl.max_steps=7 must not stand beside --profile tiny"):
        load_recipe("quickstart", ["stages.rl.max_steps=7"], profile="tiny")
    assert load_recipe("quickstart", ["stages.rl.beta=0.1"], profile="tiny").stage("rl").options["beta"] == 0.1
