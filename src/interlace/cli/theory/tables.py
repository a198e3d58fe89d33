"""A reading in the terminal: the law, what was given, its value, its conditions, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from interlace.theory.finite import FiniteProblem, expected_reward, sft_loss
from interlace.theory.laws.inputs import described
from interlace.theory.laws.meanings import first_sentence
from interlace.theory.laws.meanings.words import said
from interlace.theory.laws.reading import Reading

DIGITS = 6
"""Significant digits of a value; `--json` has all of them."""

LONGEST = 8
"""Rows, and numbers of a row, that are shown of an array."""

MARKS = {
    True: Text("holds", "green"),
    False: Text("DOES NOT HOLD", "bold red"),
    None: Text("must be measured on the run", "yellow"),
}
"""Whether a condition holds."""


def print_reading(console: Console, reading: Reading) -> None:
    """Everything that is to be said about a law read on given inputs."""
    law = reading.law
    console.print(Text(f"{law.label}  {law.name}", "bold"))
    console.print(Padding(Text(law.whole), (0, 0, 1, 2), expand=False))
    _section(console, "Given", _inputs(reading))
    _section(console, f"Value, {law.unit}", _values(reading))
    _section(console, "Beside it", _also(reading))
    _section(console, "Conditions", _conditions(reading))
    console.print(Text("What it means", "bold"))
    console.print(Padding(Text(reading.meaning), (0, 0, 0, 2), expand=False))


def _section(console: Console, title: str, rows: Iterable[tuple[Text | str, ...]]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        console.print(Text(title, "bold"))
        console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _inputs(reading: Reading) -> Iterable[tuple[Text | str, ...]]:
    for name, value in reading.inputs.items():
        if name in reading.assumed:
            yield name, Text(f"{reading.assumed[name]} (not given)", "dim")
        else:
            yield name, shown(value)


def _values(reading: Reading) -> Iterable[tuple[Text | str, ...]]:
    if reading.value is None:
        yield (Text(f"not asked; it would need {described(reading.missing)}", "dim"),)
    else:
        yield from _rows(reading.value, "")


def _also(reading: Reading) -> Iterable[tuple[Text | str, ...]]:
    functions = {function.__name__: function for function in reading.law.also}
    for name, value in reading.also.items():
        for row in _rows(value, name):
            yield (*row, Text(first_sentence(functions[name]), "dim")) if row[0] == name else row


def _rows(value: Any, name: str) -> Iterable[tuple[Text | str, ...]]:
    """A named tuple a row a field; anything else one row."""
    fields = value._asdict() if hasattr(value, "_asdict") else {"": value}
    for field, item in fields.items():
        label = " ".join(part for part in (name, field) if part)
        yield (label, shown(item)) if label else (shown(item),)


def _conditions(reading: Reading) -> Iterable[tuple[Text | str, ...]]:
    if not reading.conditions:
        yield (Text("none: it holds for any policy", "green"),)
    for condition, holds in reading.conditions:
        yield MARKS[holds], Text(str(condition))


def shown(value: Any) -> Text:
    """A value in brief."""
    if isinstance(value, FiniteProblem):
        return Text(_problem(value))
    if isinstance(value, bool | np.bool):
        return Text("yes" if value else "no")
    if isinstance(value, str) or value is None:
        return Text(value or "none")
    return Text(_array(np.asarray(value)) if np.ndim(value) else said(float(value), DIGITS))


def _lumped(problem: FiniteProblem) -> str:
    """What a reader must know of a problem of pass rates."""
    if problem.reference.shape[1] != 2 or not (problem.reward == [1.0, 0.0]).all():
        return ""
    return (
        ". Right against wrong alone: changes along the RL path (A1, A3 to A6) are as on a model of these pass rates, "
        "levels of SFT loss, fronts and shortfalls leave out what lies within each"
    )


def _problem(problem: FiniteProblem) -> str:
    rows, columns = problem.reference.shape
    size = f"{rows:,} prompt{'s' if rows != 1 else ''} of {columns:,} response{'s' if columns != 1 else ''}"
    earned = expected_reward(problem, problem.reference)
    return (
        f"{size}; the reference earns {said(earned, DIGITS)} at SFT loss {said(sft_loss(problem, problem.reference))}, "
        f"the expert {said(problem.expert_reward, DIGITS)}{_lumped(problem)}"
    )


def _array(values: np.ndarray) -> str:
    """A row a line; long ones cut, with a count of what is left out."""
    if values.ndim > 2:
        return f"{' x '.join(map(str, values.shape))} numbers, {said(values.min())} to {said(values.max())}"
    if values.ndim == 1:
        return _row(values)
    lines = [_row(row) for row in values[:LONGEST]]
    left = len(values) - LONGEST
    return "\n".join([*lines, *([f"\u2026 {left:,} more rows"] if left > 0 else [])])


def _row(values: np.ndarray) -> str:
    cells = [_cell(value) for value in values[:LONGEST].tolist()]
    left = len(values) - LONGEST
    return "  ".join([*cells, *([f"\u2026 {left:,} more"] if left > 0 else [])])


def _cell(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else said(value, 4)
