"""Profiles: what a recipe becomes when it is only to be tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from interlace.errors import RecipeError, unknown_name
from interlace.recipe.model import Recipe, StageConfig
from interlace.stages import STAGES

TINY_STEPS, TINY_BATCH, TINY_EVERY = 4, 8, 2
TINY_PROMPTS = 24
"""Half of them, which steer or judge a method, are 12: an interval needs as many."""

SET_BY_PROFILES = ("max_steps", "per_device_train_batch_size", "every", "measure_every", "prompts", "exclude_seeds")


def apply_profile(recipe: Recipe, profile: str) -> Recipe:
    """`recipe` under `profile`, renamed so that its run folder is its own. Raises RecipeError if it is unknown."""
    if profile not in PROFILES:
        raise RecipeError(unknown_name("--profile", profile, PROFILES))
    changed = PROFILES[profile](recipe)
    return changed.model_copy(update={"name": f"{recipe.name}-{profile}"})


def refuse_overridden(profile: str, overrides: Sequence[str]) -> None:
    """Raise RecipeError for an override of what the profile sets itself: one of the two would be ignored."""
    for override in overrides:
        parts = override.partition("=")[0].split(".")
        key = next((part for part in (parts[0], parts[-1]) if part in SET_BY_PROFILES), None)
        if key is not None:
            raise RecipeError(
                f"--set {override} must not stand beside --profile {profile}, which sets {key}. Drop one."
            )


def tiny(recipe: Recipe) -> Recipe:
    """At most 4 steps a stage, 8 examples a batch (a multiple of the group) and 24 prompts measured, and no seed left
    out for what it did not learn in them: does it run?"""
    measure = recipe.measure.model_copy(
        update={
            "every": min(recipe.measure.every, TINY_EVERY),
            "prompts": min(recipe.measure.prompts or TINY_PROMPTS, TINY_PROMPTS),
        }
    )
    stages = tuple(map(_tiny_stage, recipe.stages))
    return recipe.model_copy(update={"measure": measure, "stages": stages, "exclude_seeds": None})


def _tiny_stage(stage: StageConfig) -> StageConfig:
    if not STAGES[stage.kind].trains:
        return stage
    options: dict[str, Any] = dict(stage.options)
    options["max_steps"] = min(stage.max_steps or TINY_STEPS, TINY_STEPS)
    group = int(options.get("num_generations", 8)) if STAGES[stage.kind].samples else 1
    batch = max(group, TINY_BATCH // group * group)
    options["per_device_train_batch_size"] = min(int(options.get("per_device_train_batch_size", batch)), batch)
    return stage.model_copy(update={"options": options, "measure_every": None})


PROFILES: dict[str, Callable[[Recipe], Recipe]] = {"tiny": tiny}
"""Registered profiles; the docstring of each is what `--profile` says about it."""
