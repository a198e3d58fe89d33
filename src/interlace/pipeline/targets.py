"""What a recipe measures: every task's held-out set under a policy's tokenizer."""

from __future__ import annotations

from collections.abc import Mapping

from interlace.policies import Policy
from interlace.probes import MeasuredTask
from interlace.recipe import Recipe
from interlace.stages.completions import completion_limit
from interlace.tasks.base import Task


def prepared_targets(recipe: Recipe, tasks: Mapping[str, Task], policy: Policy) -> list[MeasuredTask]:
    """One target a task, in the recipe's order. Raises DataError if an expert response does not fit the context."""
    return [
        MeasuredTask.prepare(task, policy, recipe.measure.prompts, longest_completion(recipe, name, task))
        for name, task in tasks.items()
    ]


def longest_completion(recipe: Recipe, name: str, task: Task) -> int | None:
    """The longest completion that RL on a task samples anywhere in the recipe, which measurement must see too."""
    options = [config.options for config in recipe.stages if config.kind == "rl" and config.task == name]
    return max((completion_limit(task, each) for each in options), default=None)
