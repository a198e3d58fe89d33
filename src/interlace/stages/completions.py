"""How long a sampled completion may be: one rule for training and measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.tasks.base import Task


def completion_limit(task: Task, options: Mapping[str, Any]) -> int:
    """How long a sampled completion may be, tokens: what the stage says, else the task, else TRL's default 256."""
    return int(options.get("max_completion_length") or task.max_response_tokens or 256)
