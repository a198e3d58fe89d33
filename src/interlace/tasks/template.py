"""Prompt templates: text with the names of columns in braces, and nothing else that Python's format strings can do."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any


def template_columns(template: str) -> list[str]:
    r"""The columns that `template` names, in order. Doubled braces stand for themselves.

    Raises ValueError if a brace is open, or holds anything but a column's name.

    >>> template_columns("Sentence: {sentence}\nAcceptable:")
    ['sentence']
    """
    return [column for _, column in _pieces(template) if column is not None]


def fill(template: str, values: Mapping[str, Any]) -> str:
    """`template` with each name replaced by its value's text ("" for None).

    >>> fill("{{{a}}} + {b} =", {"a": 1, "b": "2"})
    '{1} + 2 ='
    """
    return "".join(literal + as_text(values[name] if name is not None else None) for literal, name in _pieces(template))


def as_text(value: Any) -> str:
    """A column's value as text; "" for a missing one."""
    return "" if value is None else str(value)


def _pieces(template: str) -> list[tuple[str, str | None]]:
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"a template's braces must pair. Got {template!r}: {error}. Write {{{{ for one.") from error
    if any(name == "" or form or conversion for _, name, form, conversion in pieces):
        raise ValueError(f"a template must hold only {{column}} names. Got {template!r}. Write {{{{ for one brace.")
    return [(literal, name) for literal, name, _, _ in pieces]
