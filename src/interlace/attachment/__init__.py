"""Instruments for a trainer of your own: `attach(trainer, task)`, or `CouplingCallback` where only a callback can go.

`callback` looks while the trainer trains; `trainers` says what can be looked at; `folder` keeps a run folder of one
stage that `interlace report` reads; `logs` turns figures into `coupling/...`.
"""

from interlace.attachment.attach import attach
from interlace.attachment.callback import CouplingCallback

__all__ = ["CouplingCallback", "attach"]
