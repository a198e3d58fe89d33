"""Label words: a classification data set as prompts and responses, with an expert who errs by a known law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlace.errors import DataError


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written for each value of a label (`words`), and how often the expert writes another word (`error`).

    The expert writes the true word with probability 1 - `error`, each of the k - 1 others with `error` / (k - 1).
    """

    words: Mapping[str, str]
    error: float = 0.0

    def word(self, value: str, place: str) -> str:
        """The word for a label's value. Raises DataError, with the values there are, if it has none."""
        if value not in self.words:
            known = ", ".join(repr(known) for known in self.words)
            raise DataError(f"{place}: label must be one of {known}. Got {value!r}. Add it to labels, or exclude it.")
        return self.words[value]

    def law(self, word: str) -> dict[str, float]:
        """p_D given that `word` is true.

        >>> Labels({"0": " no", "1": " yes"}, 0.25).law(" yes")
        {' yes': 0.75, ' no': 0.25}
        """
        others = self._others(word)
        law = {word: 1.0 - self.error} | {other: self.error / len(others) for other in others}
        return {text: probability for text, probability in law.items() if probability > 0.0}

    def drawn(self, word: str, chance: float, choice: float) -> str:
        """One draw from `law`, by two uniform numbers in [0, 1): whether the expert errs, and to which other word."""
        others = self._others(word)
        return others[int(choice * len(others))] if chance < self.error else word

    def _others(self, word: str) -> list[str]:
        return [other for other in dict.fromkeys(self.words.values()) if other != word]
