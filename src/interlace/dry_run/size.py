"""How many parameters the model of a recipe has, counted without its weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from interlace.errors import InterlaceError
from interlace.pipeline import EMBEDDED
from interlace.policies import source_of
from interlace.policies.embedded import embedded_config
from interlace.recipe import Recipe
from interlace.tasks.base import Task


def parameters_of(recipe: Recipe, tasks: Mapping[str, Task]) -> tuple[int | None, list[str]]:
    """And what is to be noted: None, with a note, if it is not on this machine."""
    if recipe.model == EMBEDDED:
        alphabet = "".join(task.alphabet for task in tasks.values())
        return _count(embedded_config(len(set(alphabet)) + 3, recipe.model_options)), []
    try:
        source = source_of(recipe.model)
        return _count(AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)), []
    except OSError as error:
        if isinstance(error, InterlaceError):
            raise
        return None, [f"model {recipe.model} is not on this machine: time and disk are not estimated; a run fetches it"]


def _count(config: PretrainedConfig) -> int:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())
