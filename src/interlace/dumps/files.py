"""Files of rows: found in a folder, read one row after the other; a line that cannot be read is counted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from interlace.dumps.tally import Tally
from interlace.errors import DataError, MissingFileError

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = Iterator[tuple[int, Row]]
"""Line or row number, from 1, and what stands there."""

BATCH = 8192
"""Rows of a Parquet file that are Python objects at a time."""
SHOWN = 3
"""Damaged files that a sentence names."""
UNREADABLE = "it is no JSON object"
TORN = "the file ends in the middle of a line, as while it is written"


def find_files(path: Path, option: str) -> list[Path]:
    """`path` itself, or every file below it that may hold rows, in natural order.

    Raises MissingFileError if there is nothing at `path`; DataError for a suffix that is not known, or no file below.
    """
    if path.is_file():
        if suffix_of(path) not in FORMATS:
            raise DataError(f"{option} must end with one of {', '.join(FORMATS)}. Got {path.name}. Convert the file.")
        return [path]
    if not path.is_dir():
        raise MissingFileError(f"{option} must be a file or a folder that is there. Got {path}. Check the path.")
    found = [item for item in path.rglob("*") if item.is_file() and suffix_of(item) in FORMATS]
    if not found:
        raise DataError(f"{option} must hold {', '.join(FORMATS)} files. Got {path}, where there is none. Check it.")
    return sorted(found, key=lambda item: natural(item.relative_to(path).as_posix()))


def suffix_of(path: Path) -> str:
    """The suffix that names the format, ``.gz`` included: ``.jsonl.gz``."""
    suffixes = path.suffixes
    compressed = len(suffixes) > 1 and suffixes[-1].lower() == ".gz"
    return "".join(suffixes[-2:] if compressed else suffixes[-1:]).lower()


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts 2.jsonl before 10.jsonl."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def read_rows(path: Path, tally: Tally, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file; `columns` may spare a Parquet file the reading of the others."""
    return FORMATS[suffix_of(path)](path, tally, columns)


def why_nothing(path: Path) -> str:
    """Why a file gives no row. Cost: it is read again."""
    if not path.stat().st_size:
        return "0 bytes"
    tally = Tally()
    next(read_rows(path, tally), None)
    places = {reason: "" if place == path.name else f" ({place})" for reason, place in tally.first.items()}
    return "; ".join(f"{reason}{place}" for reason, place in places.items()) or "no rows"


def refuse_damaged(option: str, path: Path, files: Sequence[Path]) -> NoReturn:
    """Raise DataError for the files at `path`, none of which gives a row."""
    shown = why_nothing(path) if path.is_file() else reasons(files)
    raise DataError(
        f"{option} must hold whole files of rows. Got {path}, where nothing can be read: {shown}. Copy it again, or "
        "wait until the trainer has written it to its end."
    )


def reasons(files: Sequence[Path]) -> str:
    """Why each of some files gives no row; the first of many."""
    shown = "; ".join(f"{file.name}: {why_nothing(file)}" for file in files[:SHOWN])
    return shown + (f"; and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")


def _jsonl(path: Path, tally: Tally, columns: Sequence[str] | None) -> Rows:
    with _opened(path) as file:
        number, torn = 0, ""
        for number, line in enumerate(_lines(file, path, tally), start=1):
            if torn:
                tally.add(UNREADABLE, torn)
                torn = ""
            if not line.strip():
                continue
            row = _parsed(line)
            if isinstance(row, dict):
                yield number, row
            else:
                torn = f"{path.name}:{number}"
        if torn:
            tally.add(UNREADABLE if line.endswith("\n") else TORN, torn)


def _lines(file: io.TextIOWrapper, path: Path, tally: Tally) -> Iterator[str]:
    """Lines, up to where a compressed file breaks off."""
    try:
        yield from file
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        tally.add(f"the rest of the file cannot be unpacked ({error})", path.name)


def _parsed(text: str) -> Any:
    """What JSON says; None for text that is no JSON, numbers of thousands of digits and bottomless nesting included."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json(path: Path, tally: Tally, columns: Sequence[str] | None) -> Rows:
    with _opened(path) as file:
        found = _parsed(file.read())
    rows = found if isinstance(found, list) else [found]
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            yield number, row
        else:
            tally.add(UNREADABLE, f"{path.name}:{number}")


def _parquet(path: Path, tally: Tally, columns: Sequence[str] | None) -> Rows:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            wanted = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
            for batch in file.iter_batches(BATCH, columns=wanted):
                yield from enumerate(batch.to_pylist(), start=number + 1)
                number += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        tally.add(f"the file is no whole Parquet file ({str(error).splitlines()[0]})", path.name)


def _delimited(delimiter: str) -> Callable[[Path, Tally, Sequence[str] | None], Rows]:
    def read(path: Path, tally: Tally, columns: Sequence[str] | None) -> Rows:
        with _opened(path) as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            try:
                for row in reader:
                    yield reader.line_num, {str(key): value for key, value in row.items()}
            except csv.Error as error:
                tally.add(f"the rest of the file is no delimited text ({error})", f"{path.name}:{reader.line_num}")

    return read


def _opened(path: Path) -> io.TextIOWrapper:
    """The text of a file, unpacked; bytes that are no UTF-8 become marks, and so no JSON is lost to one of them."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="\n")
    return path.open(encoding="utf-8-sig", errors="replace", newline="\n")


TEXT: dict[str, Callable[[Path, Tally, Sequence[str] | None], Rows]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
}
FORMATS: dict[str, Callable[[Path, Tally, Sequence[str] | None], Rows]] = {
    ".parquet": _parquet,
    **TEXT,
    **{f"{suffix}.gz": read for suffix, read in TEXT.items()},
}
"""How to read a file, by its suffix."""
