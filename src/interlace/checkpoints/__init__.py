"""Checkpoints that any trainer wrote: both objectives, paired differences, which one to keep, the line between two.

`found` looks before anything is loaded, `preset`, `loading` and `measure` load and measure, `objectives` and
`differences` compare, `figures` orders what probes found, `choice` recommends, `line` and `blend` measure and save what
lies between two checkpoints, `conditions` is ``--fail-on``. This package's own names import no torch.
"""

from interlace.checkpoints.differences import Difference
from interlace.checkpoints.found import Checkpoint, find_checkpoints
from interlace.checkpoints.profile import Recommendation
from interlace.checkpoints.result import Cell, Line, Measured

__all__ = ["Cell", "Checkpoint", "Difference", "Line", "Measured", "Recommendation", "find_checkpoints"]
