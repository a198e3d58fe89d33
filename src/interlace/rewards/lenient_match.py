"""lenient_match: 1 if the right answer can be read off the completion, whatever stands around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import field_validator

from interlace.rewards.base import Completion, RewardOptions, column_values, completion_text

_NUMBER = re.compile(r"(?:(?<![\w.)])-)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", re.ASCII)


class LenientMatch(RewardOptions):
    """Options of the reward lenient_match.

    What is read: with `words` the first of them that occurs; else the last number, where the answer is one; else the
    last words, as many as the answer has. Read without regard to case, punctuation, thousands separators and zeros at
    the end of a fraction. Zeros in front count: digits may be written last first.

    A measure beside a strict reward, to tell a matter of format from one of content. As a training reward it can be
    gamed: a completion that ends in every answer's place with the likeliest one earns it.
    """

    sentence: ClassVar[str] = "1 if the last number, the last words or the first label word is the answer, else 0."
    source: ClassVar[str] = "the flexible extraction of GSM8K in EleutherAI's evaluation harness"
    cost: ClassVar[str] = "one search a completion"

    column: str = "answer"
    """Column that holds the right answer, or a list of them, any of which is right."""
    words: tuple[str, ...] = ()
    """All label words, of which the first that a completion holds is its answer; empty: its last number or words."""

    @field_validator("words")
    @classmethod
    def _are_told_apart(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not can_be_told_apart(words):
            raise ValueError(f"words must differ without case and white space. Got {list(words)}. Change one.")
        return words

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where an answer is read off the completion, else 0.0."""
        answers = column_values(columns, self.column, "lenient_match")
        texts = (completion_text(completion) for completion in completions)
        return [float(self._is_right(text, answer)) for text, answer in zip(texts, answers, strict=True)]

    def _is_right(self, text: str, answer: Any) -> bool:
        answers = answer if isinstance(answer, list | tuple) else [answer]
        return any(self._reads(text, str(item)) for item in answers)

    def _reads(self, text: str, answer: str) -> bool:
        if self.words:
            return first_word(text, self.words) == plain(answer)
        if _NUMBER.fullmatch(answer.strip()):
            return last_number(text) == last_number(answer)
        wanted = _words(answer)
        return bool(wanted) and _words(text)[-len(wanted) :] == wanted


def plain(word: str) -> str:
    """A word without case and the white space around it."""
    return word.strip().casefold()


def can_be_told_apart(words: Sequence[str]) -> bool:
    """Whether no two words are the same without case and white space, and none is empty."""
    read = [plain(word) for word in words]
    return all(read) and len(set(read)) == len(read)


def first_word(text: str, words: Sequence[str]) -> str | None:
    """The one of `words` that occurs first in `text`, by itself and not within a longer word; None if none does.

    >>> first_word("It is UNACCEPTABLE, not acceptable", ["acceptable", "unacceptable"])
    'unacceptable'
    """
    longest_first = sorted(map(plain, words), key=len, reverse=True)
    found = re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", text.casefold())
    return None if found is None else found[0]


def last_number(text: str) -> str | None:
    """The last number in `text`, normalised; None if there is none.

    >>> last_number("5-3 = 2, so $1,250.50."), last_number("it is -07"), last_number("none")
    ('1250.5', '-07', None)
    """
    found = _NUMBER.findall(text)
    if not found:
        return None
    whole, _, fraction = found[-1].replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
