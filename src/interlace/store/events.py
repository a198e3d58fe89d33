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

    def append(self, *events: dict[str, Any]) -> None:
        """Write events, a line each, and force them to disk."""
        if not events:
            return
        self._file.write(b"".join(dumps(event).encode() + b"\n" for event in events))
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def is_closed(self) -> bool:
        """Whether the log was released."""
        return self._file.closed

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


def last_event(path: Path, kind: str, stage: str, last_step: int) -> dict[str, Any]:
    """The latest event of `kind` in `stage` up to `last_step`, which a resumed training goes on from; empty if none."""
    found = (event for event in reversed(read_events(path)) if event["kind"] == kind and event.get("stage") == stage)
    return next((event for event in found if event["step"] <= last_step), {})


def _drop_torn_tail(path: Path) -> int:
    """Cut what stands after the last newline; the number of bytes cut."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    return len(content) - whole
