"""Files of rows: JSONL, a JSON list, Parquet, CSV and TSV, read into records that know their file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlace.errors import DataError, MissingFileError
from interlace.tasks.records import Record, complete


@dataclass(frozen=True, slots=True)
class Layout:
    """What a delimited file does not say of itself.

    `header`: its first line names the columns. `columns`: names in place of the header's (None without header: their
    positions, "0", "1", ...). `quotes`: whether double quotes may enclose a field (None: in CSV yes, in TSV no).
    """

    header: bool = True
    columns: Sequence[str] | None = None
    quotes: bool | None = None


def read_table(path: str | Path, layout: Layout | None = None) -> list[Record]:
    """The rows of the file at `path`, whose format is known by its suffix.

    Raises MissingFileError if there is no file; DataError for a suffix that is not known, or a line that cannot be
    read, with its number.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in FORMATS:
        raise DataError(f"{file} must end with one of {', '.join(FORMATS)}. Got {file.suffix!r}. Convert the file.")
    if not file.is_file():
        taken = "" if file.is_absolute() else ": a relative path is taken from the current folder"
        raise MissingFileError(
            f"data file {file} must exist. Got none in {file.absolute().parent}{taken}. Correct the path."
        ).about("path")
    return complete(FORMATS[file.suffix.lower()](file, layout or Layout()))


def _read_jsonl(file: Path, layout: Layout) -> list[Record]:
    lines = enumerate(_text(file).split("\n"), start=1)
    return [_object(f"{file}:{number}", _parsed(file, line, number)) for number, line in lines if line.strip()]


def _read_json(file: Path, layout: Layout) -> list[Record]:
    rows = _parsed(file, _text(file), 1)
    if not isinstance(rows, list):
        raise DataError(f"{file} must hold a list of objects. Got {type(rows).__name__}. Use .jsonl for one a line.")
    return [_object(f"{file} item {index}", row) for index, row in enumerate(rows)]


def _read_parquet(file: Path, layout: Layout) -> list[Record]:
    import pyarrow  # only here: it takes a fifth of a second
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{file} must be a Parquet file. Got {str(error)!r}. Write it again.") from error
    return [Record(f"{file} row {index}", row) for index, row in enumerate(rows)]


def _read_csv(file: Path, layout: Layout) -> list[Record]:
    return _read_delimited(file, layout, ",", quotes=layout.quotes is not False)


def _read_tsv(file: Path, layout: Layout) -> list[Record]:
    return _read_delimited(file, layout, "\t", quotes=layout.quotes is True)


def _read_delimited(file: Path, layout: Layout, delimiter: str, quotes: bool) -> list[Record]:
    lines = _fields(file, delimiter, quotes)
    if not lines:
        return []
    names = layout.columns or (lines[0][1] if layout.header else [str(place) for place in range(len(lines[0][1]))])
    if len(set(names)) < len(names):
        raise DataError(f"{file}: columns must have different names. Got {', '.join(names)}. Rename one.")
    return [_delimited(f"{file}:{number}", names, values) for number, values in lines[layout.header :]]


def _delimited(place: str, names: Sequence[str], values: Sequence[str]) -> Record:
    if len(values) != len(names):
        wanted = f"{len(names)} fields ({', '.join(names)})"
        raise DataError(f"{place} must have {wanted}. Got {len(values)}. Correct the line, or set header and columns.")
    return Record(place, dict(zip(names, values, strict=True)))


def _fields(file: Path, delimiter: str, quotes: bool) -> list[tuple[int, list[str]]]:
    """The fields of every line that has any, and the line's number (the last one's, where quotes span several)."""
    lines = io.StringIO(_text(file), newline="")
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE, strict=True
    )
    try:
        return [(reader.line_num, values) for values in reader if values]
    except csv.Error as error:
        raise DataError(f"{file}:{reader.line_num} must be delimited text. Got {error}. Correct the line.") from error


def _text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}:{line} must be UTF-8. Got byte {data[error.start]:#04x}. Convert the file.") from error


def _parsed(file: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{file}:{first_line + error.lineno - 1}"
        raise DataError(f"{place} must be JSON. Got {error.msg} at column {error.colno}. Correct the line.") from error


def _object(place: str, row: Any) -> Record:
    if not isinstance(row, dict):
        raise DataError(f"{place} must be an object of column to value. Got {type(row).__name__}. Correct the line.")
    return Record(place, row)


FORMATS: dict[str, Callable[[Path, Layout], list[Record]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
}
"""How to read a file, by its suffix."""
