"""countdown: 1 for an expression that reaches the target with the given numbers, else 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from interlace.rewards.base import Completion, Rewarded, RewardOptions, column_values, completion_text
from interlace.rewards.expressions import expressions, reaches

MOST_LISTED = 4
"""Numbers up to which all expressions are listed (at most 75 texts a prompt for 3, 904 for 4)."""


class Countdown(RewardOptions):
    """Options of the reward countdown."""

    sentence: ClassVar[str] = (
        "1 if the completion is sums and products of the numbers, each once at most, = the target."
    )
    source: ClassVar[str] = "the Countdown task of TinyZero, without brackets and division"

    numbers: str = "numbers"
    """Column that holds the list of numbers."""
    target: str = "target"
    """Column that holds the value to reach."""

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the completion is an expression (no space, no bracket) that reaches the target, else 0.0."""
        numbers = column_values(columns, self.numbers, "countdown")
        targets = column_values(columns, self.target, "countdown")
        rows = zip(completions, numbers, targets, strict=True)
        return [float(reaches(completion_text(text), given, target)) for text, given, target in rows]

    def rewarded(self, columns: Mapping[str, Any]) -> Rewarded | None:
        """All expressions that reach the target; None with more than `MOST_LISTED` numbers."""
        numbers, target = (
            column_values(columns, self.numbers, "countdown"),
            column_values(columns, self.target, "countdown"),
        )
        if len(numbers) > MOST_LISTED:
            return None
        return tuple((text, 1.0) for text in expressions(numbers) if reaches(text, numbers, target))
