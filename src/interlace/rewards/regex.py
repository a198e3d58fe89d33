"""regex: 1 if what a pattern captures in the completion is the answer, else 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import model_validator

from interlace.rewards.base import Completion, RewardOptions, column_values, completion_text


class Regex(RewardOptions):
    """Options of the reward regex."""

    sentence: ClassVar[str] = "1 if the pattern's last match in the completion is the answer, else 0."
    source: ClassVar[str] = "the answer extraction of GSM8K, arXiv 2110.14168"
    cost: ClassVar[str] = "one search a completion; a pattern with nested repeats can take very long"

    pattern: str
    """Regular expression (Python's). Its first group, or all of it where it has none, is the answer; the last match
    in the completion counts. A column that matches too (a worked solution) is read by the same pattern."""
    column: str = "answer"
    """Column that holds the right answer, or a text that holds it."""

    @model_validator(mode="after")
    def _compiles(self) -> Regex:
        try:
            re.compile(self.pattern)
        except re.error as error:
            found = f"{self.pattern!r}: {error}"
            raise ValueError(f"pattern must be a regular expression. Got {found}. Escape it.") from error
        return self

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the captured text is the answer, white space around both ignored, else 0.0."""
        answers = [str(answer) for answer in column_values(columns, self.column, "regex")]
        captured = [self._captured(completion_text(completion)) for completion in completions]
        right = [self._captured(answer) or answer.strip() for answer in answers]
        return [float(found == answer) for found, answer in zip(captured, right, strict=True)]

    def _captured(self, text: str) -> str | None:
        """What the pattern's last match captures in `text`, stripped; None if nothing matches."""
        matches = list(re.finditer(self.pattern, text))
        if not matches:
            return None
        last = matches[-1]
        return (last.group(1 if last.re.groups else 0) or "").strip()
