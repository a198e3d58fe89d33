"""Exclusion: which rows of a data set are left out, by named rules, each of which is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import Field

from interlace.options import Options
from interlace.tasks.records import Record
from interlace.tasks.template import as_text

Item = TypeVar("Item")
Rules = Mapping[str, Callable[[Item], bool]]
"""By name: whether an item is left out."""


class Exclude(Options):
    """Rows to leave out; nothing is left out that is not asked for. A row counts under the first rule that it meets."""

    where: dict[str, Any] = Field(default_factory=dict)
    """Rows with this value in this column; a list stands for any of its values."""
    empty: bool = False
    """Rows whose prompt or completion columns are missing or blank."""
    duplicates: bool = False
    """Rows that repeat an earlier row's prompt and completion."""
    max_characters: int | None = Field(default=None, ge=1)
    """Rows whose prompt and completion have more characters together."""

    def record_rules(self, sources: Iterable[str]) -> Rules[Record]:
        """The rules that look at a row's columns. `sources`: those that the prompt and completion are made of."""
        rules: dict[str, Callable[[Record], bool]] = {}
        for column, value in self.where.items():
            rules[f"{column} is {_listed(value)}"] = _holds(column, value)
        if self.empty:
            names = list(sources)
            rules["empty"] = lambda record: any(_is_blank(record.values[name]) for name in names)
        return rules

    def text_rules(self) -> Rules[tuple[str, ...]]:
        """The rules that look at a row's texts: its prompt's, then its completion."""
        rules: dict[str, Callable[[tuple[str, ...]], bool]] = {}
        if self.duplicates:
            rules["duplicates"] = _Repeats()
        if self.max_characters is not None:
            most = self.max_characters
            rules[f"more than {most} characters"] = lambda texts: sum(map(len, texts)) > most
        return rules


def sift(
    items: Iterable[Item], rules: Rules[Any], counts: Counter[str], view: Callable[[Item], Any] = lambda item: item
) -> list[Item]:
    """The items that no rule leaves out; each of the others is counted under the first rule that does.

    Every rule gets a count, 0 included: it was applied. `view` is what the rules see of an item.
    """
    counts.update(dict.fromkeys(rules, 0))
    kept = []
    for item in items:
        seen = view(item)
        rule = next((name for name, leaves_out in rules.items() if leaves_out(seen)), None)
        if rule is None:
            kept.append(item)
        else:
            counts[rule] += 1
    return kept


class _Repeats:
    """Whether something was seen before."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def __call__(self, item: Any) -> bool:
        repeated = item in self._seen
        self._seen.add(item)
        return repeated


def _holds(column: str, value: Any) -> Callable[[Record], bool]:
    wanted = {as_text(item) for item in (value if isinstance(value, list) else [value])}
    return lambda record: as_text(record.values[column]) in wanted


def _listed(value: Any) -> str:
    return " or ".join(map(as_text, value)) if isinstance(value, list) else as_text(value)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list) and not value)
