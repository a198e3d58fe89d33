"""CountingCallback: a callback that a stage's trainer counts into."""

from __future__ import annotations

from transformers import TrainerCallback


class CountingCallback(TrainerCallback):
    """`counters` adds up what the trainer counts, such as `tokens_sampled`."""

    counters: dict[str, float]
