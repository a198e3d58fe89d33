"""events.jsonl: one record a line, flushed to disk; a torn last line is dropped and said."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from interlace.encoding import dumps
from interlace.errors import RunFolderError


class EventLog:
    """The append-only log of a run, held by one process at a time.

    Raises RunFolderError if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise RunFolderError(
                f"{path.parent} must belong to one process at a time. Another process is writing to it. "
                "Wait for that run to end, stop it, or choose another --out."
            ) from error
        dropped = _drop_torn_tail(path)
        if dropped:
            self.append(
                {"kind": "note", "text": f"events.jsonl ended in a torn line of {dropped} bytes; it was dropped"}
            )

    def append(self, event: dict[str, Any]) -> None:
        """Write one event and force it to disk."""
        self._file.write(dumps(event).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Release the log for other processes."""
        self._file.close()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """Every whole event in order; a torn last line is left out. Raises RunFolderError for damage anywhere else."""
    lines = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            raise RunFolderError(
                f"{path}:{number} must be one JSON record. Got {line[:80]!r}. "
                "The file was changed by something other than interlace: restore it or start a new run folder."
            ) from error
    return events


def _drop_torn_tail(path: Path) -> int:
    """Cut what stands after the last newline; the number of bytes cut."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    return len(content) - whole
