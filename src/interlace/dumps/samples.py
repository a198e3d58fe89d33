"""The rollouts in a file or folder: which files are one trainer's dump, and all of their rows as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlace.dumps.columns import columns_of, columns_said
from interlace.dumps.files import Row, find_files, read_rows, reasons, refuse_damaged
from interlace.dumps.places import one_dump, step_of
from interlace.dumps.rows import RowReader, Samples
from interlace.dumps.tally import Tally
from interlace.dumps.writers import Writer, writer_of
from interlace.errors import DataError
from interlace.wording import counted

PEEKED = 1024
"""Rows by which columns are told."""


@dataclass(frozen=True)
class _Source:
    """A file and who wrote it."""

    path: Path
    writer: Writer


def read_samples(path: Path, columns: str | Mapping[str, str] | None = None, reward: str | None = None) -> Samples:
    """The rollouts in a file or folder. See `interlace.plan` for the arguments.

    Raises MissingFileError or DataError where there are none, or those of several writers; RecipeError for columns.
    """
    said, tally = columns_said(columns), Tally()
    files, notes = one_dump(find_files(path, "--rollouts"), path)
    sources = _sources(path, files, said, reward, notes)
    writer = sources[0].writer
    found = columns_of(writer, _peek(sources[0], Tally()), said, reward)
    if found.data:
        names = ", ".join(found.data)
        notes.append(f"No reward, since it goes with the prompt: {names}. If it is one, say --reward NAME,NAME.")
    reader = RowReader(found, tally)
    for source in sources:
        reader.read(source.path, source.writer, step_of(source.path, path))
    if not reader.rewards:
        why = " ".join(tally.sentences())
        raise DataError(f"--rollouts must hold rollouts with a reward. Got {path}, where none is left. {why} Check it.")
    named = f"{writer.name} {writer.version}".strip()
    files_read = f"{len(sources):,} file{'s' if len(sources) > 1 else ''}"
    return reader.samples(f"{files_read} of {named}: {found}", notes, writer.repeats)


def _sources(
    path: Path, files: list[Path], said: Mapping[str, str], reward: str | None, notes: list[str]
) -> list[_Source]:
    """Files of one writer; what holds no rollouts is left out, and said."""
    found: list[_Source] = []
    others: dict[str, str] = {}
    damaged: list[Path] = []
    for file in files:
        row = next((row for _, row in read_rows(file, Tally())), None)
        writer = None if row is None else _writer(row, said, reward)
        if row is None:
            damaged.append(file)
        elif writer is None:
            others[file.name] = ", ".join(row)
        else:
            found.append(_Source(file, writer))
    writers = {source.writer.name: source for source in reversed(found)}
    if len(writers) > 1:
        each = "; ".join(f"{name} ({source.path.name})" for name, source in writers.items())
        raise DataError(f"--rollouts must hold the rollouts of one trainer. Got {path} with {each}. Name one of them.")
    if not found and not others:
        refuse_damaged("--rollouts", path, damaged)
    if not found:
        name, columns = next(iter(others.items()))
        beside = f" Beside it nothing can be read: {reasons(damaged)}." if damaged else ""
        raise DataError(
            f"--rollouts must hold rows with a reward and a prompt. Got {path}, where {name} has the columns "
            f"{columns}, none of which is known as such. Say which they are: --columns prompt=...,reward=... (a.b is "
            f"in an object, a.0 in a list).{beside}"
        )
    if others:
        notes.append(f"{len(others)} files hold no rollouts and were left out: {', '.join(list(others)[:5])}.")
    if damaged:
        notes.append(f"Left out as empty or damaged, {counted(len(damaged), 'file')}: {reasons(damaged)}.")
    return found


def _writer(row: Row, said: Mapping[str, str], reward: str | None) -> Writer | None:
    """The writer of a row; columns that are said make one where none is known."""
    found = writer_of(row)
    names = [*said.values()]
    if found is None and ("reward" in said or reward is not None) and {"prompt", "group"} & said.keys():
        there = any(name.partition(".")[0] in row for name in names)
        return Writer("no known trainer", "", frozenset(names), dict(said)) if there else None
    return found


def _peek(source: _Source, tally: Tally) -> list[Row]:
    rows = (flat for _, row in read_rows(source.path, tally) for flat in source.writer.flat(row) or ())
    return list(itertools.islice(rows, PEEKED))
