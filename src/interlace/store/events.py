"""events.jsonl: one record a line, flushed to disk; a torn last line is dropped and said."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from interlace.encoding import dumps
from interlace.errors import RunFolderError

Read = TypeVar("Read")
DAMAGED = "The file was changed by something other than interlace: restore it or start a new run folder."


class Event(dict[str, Any]):
    """One record of a run, that knows its file and line."""

    place: str = "an event"


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
    return [_event(f"{path}:{number}", line) for number, line in enumerate(lines[:-1], start=1)]


def _event(place: str, line: bytes) -> Event:
    try:
        event = Event(json.loads(line))
    except (ValueError, TypeError):
        event = Event()
    if not isinstance(event.get("kind"), str) or not isinstance(event.get("step", 0), int):
        raise RunFolderError(f"{place} must be one JSON record. Got {line[:80]!r}. {DAMAGED}")
    event.place = place
    return event


def decoded(event: Mapping[str, Any], decode: Callable[[Any], Read]) -> Read:
    """What `decode` makes of an event. Raises RunFolderError, with its file and line, for one that does not hold what
    interlace writes."""
    try:
        return decode(event)
    except (ValueError, TypeError, KeyError) as error:
        lack = f"it has no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        place = event.place if isinstance(event, Event) else Event.place
        raise RunFolderError(f"{place} must hold what interlace wrote there: {lack}. {DAMAGED}") from error


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
