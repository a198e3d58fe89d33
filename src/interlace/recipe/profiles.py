"""Profiles: what a whole recipe becomes when it is only to be tried, or to be tried at another rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.errors import RecipeError, unknown_name
from interlace.recipe.model import Recipe, StageConfig
from interlace.stages import STAGES

TINY_STEPS, TINY_BATCH, TINY_EVERY = 4, 8, 2
TINY_PROMPTS = 24
"""Half of them, which steer or judge a method, are 12: an interval needs as many."""

RATE = 1 / 3
"""A third: about half a decade."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A registered profile: its sentence, what a recipe becomes, and the options that it sets."""

    sentence: str
    apply: Callable[[Recipe], Recipe]
    sets: tuple[str, ...]


def apply_profile(recipe: Recipe, profile: str) -> Recipe:
    """`recipe` under `profile`, renamed so that its run folder is its own. Raises RecipeError if it is unknown, or asks
    for what the recipe does not say."""
    changed = _named(profile).apply(recipe)
    return changed.model_copy(update={"name": f"{recipe.name}-{profile}"})


def refuse_overridden(profile: str, overrides: Sequence[str]) -> None:
    """Raise RecipeError for an override of what the profile sets itself: one of the two would be ignored."""
    sets = _named(profile).sets
    for override in overrides:
        parts = override.partition("=")[0].split(".")
        key = next((part for part in (parts[0], parts[-1]) if part in sets), None)
        if key is not None:
            raise RecipeError(
                f"--set {override} must not stand beside --profile {profile}, which sets {key}. Drop one."
            )


def _named(profile: str) -> Profile:
    if profile not in PROFILES:
        raise RecipeError(unknown_name("--profile", profile, PROFILES))
    return PROFILES[profile]


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


def third_rate(recipe: Recipe) -> Recipe:
    """A third of the learning rate in every stage that goes on from another: what begins with the model stays as it
    was, and what follows is compared at another rate. Steps, decays of averages and rates that a method has of its own
    stay: what follows goes about a third as far, and its averages lag as many steps.

    Raises RecipeError for such a stage that does not say its rate.
    """
    stages = (stage if recipe.start_of(stage.name)[0] is None else _slowed(stage) for stage in recipe.stages)
    return recipe.model_copy(update={"stages": tuple(stages)})


def _slowed(stage: StageConfig) -> StageConfig:
    if not STAGES[stage.kind].trains:
        return stage
    if "learning_rate" not in stage.options:
        raise RecipeError(
            f"--profile third-rate must be told the learning_rate that it changes. Stage {stage.name!r} says none. "
            "Write its learning_rate."
        )
    rate = float(stage.options["learning_rate"]) * RATE
    return stage.model_copy(update={"options": {**stage.options, "learning_rate": rate}})


PROFILES: dict[str, Profile] = {
    "tiny": Profile(
        "a few small steps a stage, to see that it runs",
        tiny,
        ("max_steps", "per_device_train_batch_size", "every", "measure_every", "prompts", "exclude_seeds"),
    ),
    "third-rate": Profile(
        "a third of the learning rate after the first start, to see what findings owe to it",
        third_rate,
        ("learning_rate",),
    ),
}
"""Registered profiles, by the name that `--profile` is given."""
