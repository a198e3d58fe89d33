"""A part of a recipe's stages: those that are asked for, and whatever they cannot be without."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.errors import RecipeError, unknown_name
from interlace.recipe.model import Recipe, StageConfig


def only_stages(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """The recipe with the stages `names` alone, in its own order, and with those that they begin with, merge or are
    like, and the one by which seeds are left out.

    A stage draws by its number and name, so that other draws are made than in the whole recipe. Raises RecipeError for
    a stage that is not there.
    """
    known = {stage.name: stage for stage in recipe.stages}
    for name in names:
        if name not in known:
            raise RecipeError(unknown_name("--only", name, known))
    kept = {*names} | ({recipe.exclude_seeds.stage} if recipe.exclude_seeds else set())
    for stage in reversed(recipe.stages):  # what a stage needs stands before it
        if stage.name in kept:
            kept |= needed(recipe, stage)
    return recipe.model_copy(update={"stages": tuple(stage for stage in recipe.stages if stage.name in kept)})


def needed(recipe: Recipe, stage: StageConfig) -> set[str]:
    """The earlier stages without which a stage cannot be trained."""
    source, _ = recipe.start_of(stage.name)
    like = (stage.method or {}).get("like")
    return {name for name in (source, like, *(end.stage for end in stage.of)) if name is not None}
