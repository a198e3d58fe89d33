"""Few demonstrations: of prompts that are all trained on, some alone keep the expert's responses."""

from __future__ import annotations

from dataclasses import replace

from interlace.errors import RecipeError
from interlace.tasks.example import Example


def with_demonstrations(examples: tuple[Example, ...], count: int | None, task: str) -> tuple[Example, ...]:
    """`examples` of which the first `count` keep the expert's responses, the others none; None: all keep them.

    Where the order is random the demonstrated prompts are a fair sample, and those of a smaller count are among those
    of a greater one. What is kept is the expert's whole distribution, not one draw.

    Raises RecipeError, naming `task`, for more demonstrations than prompts.
    """
    if count is None:
        return examples
    if count > len(examples):
        raise RecipeError(
            f"task {task!r}: demonstrations must be at most the prompts to train on. Got {count} of {len(examples)}. "
            "Lower it, or leave it out: every prompt then has one."
        )
    return examples[:count] + tuple(replace(example, responses=()) for example in examples[count:])
