"""``--least-loss``: the SFT loss that the best model reaches, task by task, as a user writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from interlace.errors import RecipeError, unknown_name


def least_losses(asked: Sequence[str], tasks: Sequence[str]) -> dict[str, float]:
    """``NATS`` for the one task, or ``TASK=NATS``, as nats/response by task.

    Raises RecipeError for what reads otherwise, an unknown task, or no task's name where there are several.
    """
    found: dict[str, float] = {}
    for words in asked:
        task, equals, number = words.rpartition("=")
        if not equals and len(tasks) > 1:
            raise RecipeError(f"--least-loss must name its task. Got {words!r}. Say --least-loss {tasks[0]}={words}.")
        if equals and task not in tasks:
            raise RecipeError(unknown_name("--least-loss task", task, tasks))
        found[task if equals else tasks[0]] = _nats(number)
    return found


def _nats(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise RecipeError(f"--least-loss must be finite nats/response, at least 0. Got {text!r}. Give another.")
    return value
