"""What is typed after an option or a NAME=: numbers, words, inline JSON, a .json or a .csv file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlace.errors import DataError, MissingFileError, RecipeError

TRUTHS = {"true": True, "false": False}


def value_of(name: str, text: str) -> Any:
    """What `text` stands for: a number, true or false, lists of numbers, or (anything else) the word itself.

    ``0.2,0.7`` is a list, as is a CSV file of one row or one column; other CSV files are lists of rows. Raises
    RecipeError, DataError or MissingFileError, one sentence that begins with `name`.
    """
    written = text.strip()
    if not written:
        raise RecipeError(
            f"{name} must have a value. Got {text!r}. Give a number, inline JSON or a .json or .csv file."
        )
    reader = READERS.get(Path(written).suffix.lower())
    if reader:
        return reader(name, Path(written))
    if written[0] in "[{":
        return _json(name, written, RecipeError, "Quote it for the shell: '[[0.4, 0.6]]'.")
    if "," in written:
        return numbers_of(name, written)
    return TRUTHS.get(written.lower(), _number(written, written))


def number_of(name: str, text: str) -> float:
    """One number. Raises RecipeError for anything else."""
    number = _number(text.strip(), None)
    if number is None:
        raise RecipeError(f"{name} must be a number. Got {text!r}. Write it as 2, 0.5, 1e-3 or inf.")
    return number


def numbers_of(name: str, text: str) -> list[float]:
    """Numbers with commas between them. Raises RecipeError for anything else."""
    numbers = [_number(part.strip(), None) for part in text.split(",")]
    if None in numbers:
        raise RecipeError(f"{name} must be numbers with commas. Got {text!r}. Write them as 0.2,0.7.")
    return [number for number in numbers if number is not None]


def list_of(name: str, text: str, example: str) -> list[Any]:
    """Numbers, or rows of numbers, inline or in a file. Raises as `value_of` does, and RecipeError for a word."""
    value = value_of(name, text)
    if isinstance(value, float | int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise RecipeError(f"{name} must be numbers, or a .json or .csv file. Got {text!r}. Write {example}, say.")
    if not value or [] in value:
        raise DataError(f"{name} must hold numbers. Got an empty list. Give at least one.")
    return value


def _number(text: str, otherwise: Any) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return otherwise


def _json(name: str, text: str, error: type[RecipeError | DataError], advice: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as broken:
        where = f"{broken.msg} at line {broken.lineno}, column {broken.colno}"
        raise error(f"{name} must be JSON. Got {_short(text)!r}: {where}. {advice}") from None
    if isinstance(value, dict):
        raise error(f"{name} must be a list. Got an object of {', '.join(value) or 'nothing'}. Give its rows alone.")
    return value


def _read_json(name: str, path: Path) -> Any:
    return _json(name, _text(name, path), DataError, f"Correct {path}.")


def _read_csv(name: str, path: Path) -> list[Any]:
    """One row or one column is a list, the rest a list of rows; blank lines are skipped."""
    lines = enumerate(csv.reader(_text(name, path).splitlines()), start=1)
    rows = [[_cell(name, path, line, cell) for cell in cells] for line, cells in lines if "".join(cells).strip()]
    if not rows:
        raise DataError(f"{name} must hold numbers. Got nothing in {path}. Write a row a prompt.")
    if len(rows) == 1:
        return rows[0]
    return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows


def _cell(name: str, path: Path, line: int, cell: str) -> float:
    number = _number(cell.strip(), None)
    if number is None:
        named = line == 1 and not any(letter.isdigit() for letter in cell)
        advice = "Remove the header." if named else "Write numbers with commas between them."
        raise DataError(f"{name} must hold numbers alone. Got {cell!r} in line {line} of {path}. {advice}")
    return float(number)


def _text(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"{name} must be a file that is there. Got {path}. Check the path.") from None
    except UnicodeDecodeError:
        raise DataError(
            f"{name} must be a text file. Got bytes that are no UTF-8 in {path}. Export it again."
        ) from None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}\u2026"


READERS: dict[str, Callable[[str, Path], Any]] = {".json": _read_json, ".csv": _read_csv}
"""By a file's suffix."""
