"""The recipe: what to train, on what, in which order, and how to measure it. YAML in, a checked frozen model out.

`model` is the recipe itself, `source` a YAML file that remembers its lines, `overrides` the command line's
`--set`, `trl_options` the options that TRL owns, `checks` the rules between sections, `messages` what things are
called, `profiles` what a recipe becomes when it is only tried, or at another rate,
`subset` a part of its stages, `loading` all of them in order.
"""

from interlace.recipe.loading import RecipeLike, load_recipe, shipped_recipes
from interlace.recipe.model import AveragedWeights, ForksConfig, MeasureConfig, Recipe, StageConfig
from interlace.recipe.profiles import PROFILES, apply_profile
from interlace.recipe.subset import needed

__all__ = [
    # The recipe
    "Recipe",
    "StageConfig",
    "AveragedWeights",
    "ForksConfig",
    "MeasureConfig",
    # Having one
    "RecipeLike",
    "load_recipe",
    "shipped_recipes",
    "apply_profile",
    "PROFILES",
    "needed",
]
