"""exact_match: 1 for the text of a right answer, else 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from interlace.rewards.base import Completion, Rewarded, RewardOptions, column_values, completion_text


class ExactMatch(RewardOptions):
    """Options of the reward exact_match."""

    sentence: ClassVar[str] = "1 if the completion is the answer column's text (of several: any of them), else 0."
    source: ClassVar[str] = "the rule-based accuracy reward of DeepSeek-R1, arXiv 2501.12948"

    column: str = "answer"
    """Column that holds the right answer, or a list of them, any of which is right."""
    strip: bool = True
    """Whether white space around both is ignored. False: the answer's exact text and nothing else earns reward, so
    that the expected reward is enumerated rather than sampled."""

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the completion is an answer, else 0.0."""
        answers = column_values(columns, self.column, "exact_match")
        texts = (completion_text(completion) for completion in completions)
        return [float(self._read(text) in self._accepted(answer)) for text, answer in zip(texts, answers, strict=True)]

    def rewarded(self, columns: Mapping[str, Any]) -> Rewarded | None:
        """The answers alone; None with `strip`, for then infinitely many texts earn the reward."""
        return (
            None
            if self.strip
            else tuple((text, 1.0) for text in self._accepted(column_values(columns, self.column, "exact_match")))
        )

    def _accepted(self, answer: Any) -> tuple[str, ...]:
        """The distinct texts that are right."""
        answers = answer if isinstance(answer, list | tuple) else [answer]
        return tuple(dict.fromkeys(self._read(str(item)) for item in answers))

    def _read(self, text: str) -> str:
        return text.strip() if self.strip else text
