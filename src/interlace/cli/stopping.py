"""Ctrl-C while something is measured: it ends, whatever Python was doing when the key was pressed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from interlace.errors import Interrupted

SENTENCE = "measuring was stopped before its end. Nothing was written."


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Turns Ctrl-C into Interrupted; what is yielded raises it too, if it was asked for and got lost.

    Python ignores an exception that is raised within a finalizer (`__del__`), KeyboardInterrupt too: the wish is kept
    here and looked at between checkpoints.
    """
    asked = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise Interrupted(SENTENCE)

    before = signal.signal(signal.SIGINT, stop) if _is_main() else None
    try:
        yield check
        check()
    except KeyboardInterrupt:
        raise Interrupted(SENTENCE) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _is_main() -> bool:
    """Signals can be handled in the main thread alone."""
    return threading.current_thread() is threading.main_thread()
