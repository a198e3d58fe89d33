"""The recipe: what to train, on what, in which order, and how to measure it. YAML in, a checked frozen model out.

`model` is the recipe itself, `source` a YAML file that remembers its lines, `overrides` the command line's
`--set`, `trl_options` the options that TRL owns, `checks` the rules between sections, `messages` the sentences,
`loading` all of them in order.
"""

from interlace.recipe.loading import load_recipe, shipped_recipes
from interlace.recipe.model import AveragedWeights, MeasureConfig, Recipe, StageConfig
from interlace.recipe.profiles import PROFILES, apply_profile

__all__ = [
    # The recipe
    "Recipe",
    "StageConfig",
    "AveragedWeights",
    "MeasureConfig",
    # Having one
    "load_recipe",
    "shipped_recipes",
    "apply_profile",
    "PROFILES",
]
