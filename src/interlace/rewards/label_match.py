"""label_match: 1 for the row's true label word, else 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from interlace.rewards.base import Completion, Rewarded, RewardOptions, column_values, completion_text


class LabelMatch(RewardOptions):
    """Options of the reward label_match.

    Strict on purpose: no white space is ignored, so that one text a prompt earns reward and the expected reward is
    that text's probability, end-of-sequence included. A sampled reward agrees with it only if completions may be one
    token longer than the longest label word: a label cut off before its end-of-sequence would be rewarded too.
    """

    sentence: ClassVar[str] = "1 if the completion is exactly the row's true label word, else 0."
    source: ClassVar[str] = "the classification reward of arXiv 2601.07389 (CoLA)"

    column: str = "label_word"
    """Column that holds the true label word; the `files` task makes `label_word` from its `labels`."""

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the completion is the label word, character by character, else 0.0."""
        words = column_values(columns, self.column, "label_match")
        return [float(completion_text(text) == str(word)) for text, word in zip(completions, words, strict=True)]

    def rewarded(self, columns: Mapping[str, Any]) -> Rewarded | None:
        """The true label word alone."""
        return ((str(column_values(columns, self.column, "label_match")), 1.0),)
