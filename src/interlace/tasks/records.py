"""Records: rows of data as they were found, each with the place to name when something is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.errors import DataError, unknown_name


@dataclass(frozen=True, slots=True)
class Record:
    """One row: `place` is where it stands (``cola.tsv:12``, ``rows[3]``), `values` its columns by name.

    `index` is its position among the rows of its source, counted from 0 before any is left out.
    """

    place: str
    values: Mapping[str, Any]
    index: int = 0


def records_of(rows: Iterable[Mapping[str, Any]], source: str) -> list[Record]:
    """`rows` of a Python sequence named `source`, completed. Raises DataError if one is not a mapping."""
    records = []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{source}[{index}] must be a mapping of column to value. Got {row!r}. Use dicts.")
        records.append(Record(f"{source}[{index}]", row))
    return complete(records)


def complete(records: Sequence[Record]) -> list[Record]:
    """All records of a source, numbered, each with every column in one order (None where it had none).

    Trainers and rewards read the names of the columns off the first row.
    """
    names = dict.fromkeys(name for record in records for name in record.values)
    return [
        Record(record.place, {name: record.values.get(name) for name in names}, index)
        for index, record in enumerate(records)
    ]


def require_columns(records: Sequence[Record], wanted: Mapping[str, str], source: str) -> None:
    """Raises DataError, with the columns there are and the nearest, if `records` lack one of the `wanted`: each with
    the option that names it."""
    there = records[0].values if records else {}
    for name, option in wanted.items():
        if name not in there:
            unknown = unknown_name(f"a column of {source}", name, there, taken=wanted)
            raise DataError(f"{unknown} {_naming(option, source)}").about(option.partition(".")[0])


NO_EXPERT = (
    " It holds the expert's responses, which sft and hybrid stages imitate. Without any, completion: null and a reward "
    "leave RL alone."
)


def _naming(option: str, source: str) -> str:
    """How a column is named, and what goes without one."""
    if option not in ("prompt", "completion", "messages"):
        return f"Correct the option {option}."
    named = f"Name it by the option {option}: in a recipe {option}: COLUMN, else --task {source}:{option}=COLUMN."
    return named + NO_EXPERT * (option == "completion")
