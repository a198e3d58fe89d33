"""Thread settings: torch processes whose threads outnumber the cores wait for each other, up to twenty times longer.

Runs on one machine therefore share its cores: each takes a slot (a locked file that dies with its process), and
divides the cores by the slots that are taken.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import torch


class CoreShare:
    """This process's share of the machine's cores. `close` gives it back; so does the end of the process.

    `threads` fixes torch's threads; None takes OMP_NUM_THREADS if it is set, else this process's share.
    """

    def __init__(self, threads: int | None = None, folder: Path | None = None) -> None:
        self._fixed = threads or _asked_for()
        self._folder = folder or Path(tempfile.gettempdir()) / f"interlace-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._slot = self._take_slot()

    def settle(self) -> int:
        """Set torch's threads to the share as it is now, and return them; at least 1."""
        threads = self._fixed or max(1, available_cores() // self.num_runs())
        torch.set_num_threads(threads)
        return threads

    def num_runs(self) -> int:
        """How many runs live on this machine, this one included."""
        return sum(_is_taken(path) for path in self._folder.glob("slot-*"))

    def close(self) -> None:
        """Give the share back."""
        self._slot.close()

    def _take_slot(self) -> BinaryIO:
        number = 0
        while True:
            slot = (self._folder / f"slot-{number}").open("ab")
            if _lock(slot):
                return slot
            slot.close()
            number += 1


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _is_taken(path: Path) -> bool:
    with path.open("ab") as slot:
        return not _lock(slot)


def _lock(slot: BinaryIO) -> bool:
    """Lock an open slot for as long as it stays open; False if another run has it."""
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _asked_for() -> int | None:
    """OMP_NUM_THREADS, of a list (one number a level of nesting) the first; None if it is no number above 0."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) or None if first.isdecimal() else None
