"""Patience: how long the other processes of a training wait for the one that looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAR = 0.25
"""The share of the wait from which a look is warned of: the end's may take longer than the start's."""


@dataclass
class Patience:
    """`timeout`: seconds after which a process that waits for the others ends the training; infinite if none does."""

    timeout: float
    is_told: bool = False

    @classmethod
    def of(cls, ddp_timeout: float, num_processes: int) -> Patience:
        """That of the other processes, if there are any."""
        return cls(float(ddp_timeout) if num_processes > 1 else math.inf)

    def tried(self, step: int, seconds: float) -> str | None:
        """What to say, once, of a look at `step` that took wall `seconds`; None where it is far from the timeout."""
        if self.is_told or seconds <= NEAR * self.timeout:
            return None
        self.is_told = True
        return (
            f"the look at step {step} took {seconds:.3g} s while the other processes waited; after "
            f"ddp_timeout={self.timeout:.0f} s they end the training. Raise ddp_timeout in the trainer's arguments, or "
            "measure less at a look by prompts=, completions= or preset="
        )
