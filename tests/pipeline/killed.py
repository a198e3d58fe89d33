"""The program, killed (-9) at a place of a training: `python -m tests.pipeline.killed PLACE STAGE STEP WORDS...`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from interlace.callback import StageCallback
from interlace.cli import main

PLACES = {"after a step": "after_step", "after a checkpoint": "saved", "during a look": "keep_overhead"}
"""The last thing that the stage's callback does before the kill."""


def kill_at(place: str, stage: str, step: int) -> None:
    """Kill this process at the end of that act of the stage's callback, at that step of that stage."""
    act = getattr(StageCallback, PLACES[place])

    def last(self: StageCallback, where: Any) -> None:
        act(self, where)
        if (self.stage, getattr(where, "step", where)) == (stage, step):
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(StageCallback, PLACES[place], last)


if __name__ == "__main__":
    place, stage, step, *words = sys.argv[1:]
    kill_at(place, stage, int(step))
    sys.argv[1:] = words
    main()
