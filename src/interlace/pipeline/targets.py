"""What a recipe measures: every task's held-out set under a policy's tokenizer, and prompts trained on where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from interlace.policies import Policy
from interlace.probes import MeasuredTask
from interlace.recipe import Recipe
from interlace.stages import STAGES
from interlace.stages.completions import completion_limit
from interlace.tasks.base import Task

ON_TRAINING = "-train"
"""What the name of a task's training prompts ends with, in records and reports."""


def prepared_targets(recipe: Recipe, tasks: Mapping[str, Task], policy: Policy) -> list[MeasuredTask]:
    """One target a task, in the recipe's order, then one for each task's training prompts if the recipe asks for them.

    Raises DataError if an expert response does not fit the context.
    """
    limits = {name: longest_completion(recipe, name, task) for name, task in tasks.items()}
    held_out = [
        MeasuredTask.prepare(task, policy, recipe.measure.prompts, limits[name]) for name, task in tasks.items()
    ]
    count = recipe.measure.training_prompts
    trained_on = () if count is None else tasks.items()
    return [*held_out, *(MeasuredTask.prepare(on_training_prompts(task), policy, count, limits[name])
                         for name, task in trained_on)]  # fmt: skip


def on_training_prompts(task: Task) -> Task:
    """The task with its two sets of prompts changed over, so that those trained on are measured. Their expert is known
    as far as their examples hold its distribution. With few demonstrations: those prompts alone that have one."""
    known = task.expert_is_known and task.fresh_draws
    measured = task.demonstrated or task.train
    return replace(task, name=f"{task.name}{ON_TRAINING}", train=task.heldout, heldout=measured, expert_is_known=known)


def longest_completion(recipe: Recipe, name: str, task: Task) -> int | None:
    """The longest completion that RL on a task samples anywhere in the recipe, which measurement must see too."""
    options = [config.options for config in recipe.stages if STAGES[config.kind].samples and config.task == name]
    return max((completion_limit(task, each) for each in options), default=None)
