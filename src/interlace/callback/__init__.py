"""Callbacks: schedule -> probes -> run folder, inside any Transformers trainer and within a budget of CPU time.

`looking` is the core that the pipeline's callback (`stage`) and a user's own (`interlace.attachment`) share, `events`
what a trainer tells them; `budget` and `clock` say what a look may cost and what it did; `gathering` reads what TRL's
RL trainers sample anyway (`rollouts`); `watching` raises flags; `stopping` asks
the stage's stop rule; `stop` turns a signal into a saved checkpoint.
"""

from interlace.callback.budget import Budget, MeteredProbe
from interlace.callback.clock import Clock, Meter
from interlace.callback.counting import CountingCallback
from interlace.callback.looking import Looking
from interlace.callback.stage import StageCallback
from interlace.callback.stop import StopRequest
from interlace.callback.stopping import KeptWeights, Stopping
from interlace.callback.watching import stage_watch

__all__ = [
    "Budget",
    "Clock",
    "CountingCallback",
    "KeptWeights",
    "Looking",
    "Meter",
    "MeteredProbe",
    "StageCallback",
    "StopRequest",
    "Stopping",
    "stage_watch",
]
