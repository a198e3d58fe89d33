"""cards: 1 for an expression that reaches the target with all of the numbers, else 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from interlace.rewards.base import Completion, Rewarded, RewardOptions, column_values, completion_text
from interlace.rewards.bracketed import solutions, uses_all

MOST_LISTED = 4
"""Numbers up to which all expressions of a value are listed (7680 texts of four different numbers, of all values)."""


class Cards(RewardOptions):
    """Options of the reward cards."""

    sentence: ClassVar[str] = "1 if the completion joins all the numbers by + - * / and needed brackets to the target."
    source: ClassVar[str] = "after GeneralPoints (arXiv 2501.17161), known second hand"
    cost: ClassVar[str] = "reading an expression"

    numbers: str = "numbers"
    """Column that holds the list of numbers."""
    target: str = "target"
    """Column that holds the value to reach."""

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the completion is an expression (no space, no bracket too many) that reaches the target."""
        numbers = column_values(columns, self.numbers, "cards")
        targets = column_values(columns, self.target, "cards")
        rows = zip(completions, numbers, targets, strict=True)
        return [float(uses_all(completion_text(text), given, target)) for text, given, target in rows]

    def rewarded(self, columns: Mapping[str, Any]) -> Rewarded | None:
        """All expressions that reach the target; None with more than `MOST_LISTED` numbers."""
        numbers = tuple(sorted(column_values(columns, self.numbers, "cards")))
        if len(numbers) > MOST_LISTED:
            return None
        return _all_rewarded(numbers, column_values(columns, self.target, "cards"))


@cache
def _all_rewarded(numbers: tuple[int, ...], target: int) -> Rewarded:
    return tuple((text, 1.0) for text in solutions(numbers, target))
