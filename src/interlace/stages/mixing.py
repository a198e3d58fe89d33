"""SFT on several tasks at once: a stage's own task, and a share of its rows from each of the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from interlace.errors import DataError
from interlace.stages.base import StageRequest
from interlace.tasks.base import Task


def imitated_tasks(request: StageRequest) -> Iterator[Task]:
    """The stage's own task, then those mixed in."""
    yield request.task
    yield from (task for task, _ in request.mixed)


def refuse_what_does_not_mix(request: StageRequest) -> None:
    """Raise DataError for a task without expert responses, or plain prompts beside chat messages."""
    for task in imitated_tasks(request):
        if not task.demonstrated:
            raise DataError(
                f"task {task.name!r} must have expert responses for sft. It has none. Set `completion`."
            ).about("task" if task is request.task else "mix")
        if isinstance(task.train[0].prompt, str) != isinstance(request.task.train[0].prompt, str):
            raise DataError(
                f"tasks mixed in one sft stage must all be plain text or all chat messages. Got {request.task.name!r} "
                f"and {task.name!r}, one of each. Set `conversational` alike."
            ).about("mix")


def mixed_rows(request: StageRequest, count: int) -> list[dict[str, Any]]:
    """`count` rows in random order: of each mixed task its share, rounded, the rest of the stage's own."""
    rng = request.rows_rng()
    counts = [round(share * count) for _, share in request.mixed]
    shares = zip(imitated_tasks(request), [count - sum(counts), *counts], strict=True)
    rows = [row for task, number in shares for row in task.sft_rows(rng, number)]
    return [rows[place] for place in rng.permutation(count).tolist()]
