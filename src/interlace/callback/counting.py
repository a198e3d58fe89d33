"""CountingCallback: what a stage's trainer tells of its work to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable

from transformers import Trainer

from interlace.callback.events import TrainerEvents
from interlace.controllers import Sight
from interlace.tasks import Task


class CountingCallback(TrainerEvents):
    """`counters` adds up what the trainer counts, such as `tokens_sampled`; `steer` is shown every look and may answer
    with a sentence."""

    counters: dict[str, float]
    steer: Callable[[Sight], str | None] | None = None

    def listen_to(self, trainer: Trainer, task: Task) -> None:
        """Before an RL trainer begins: whoever wants what it samples on `task` gathers it from here on."""
