"""StopRequest: a signal that asks a run to stop where it can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Set by a signal; the callback saves and stops at the next step where a checkpoint can be resumed exactly."""

    signal_number: int | None = None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Catch the first Ctrl-C or SIGTERM; a second one stops at once, as if nobody listened."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in numbers}

        def catch(number: int, frame: FrameType | None) -> None:
            self.signal_number = number
            for each in numbers:
                signal.signal(each, before[each])

        try:
            for number in numbers:
                signal.signal(number, catch)
            yield self
        finally:
            for number in numbers:
                signal.signal(number, before[number])
