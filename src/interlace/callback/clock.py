"""What a stage and the looks inside it take: wall seconds for the ledger, CPU seconds for the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SPENT = ("stage_cpu_seconds", "between_cpu_seconds", "ends_cpu_seconds")
"""What a meter's record says beside the share."""


@dataclass
class Clock:
    """Wall seconds of training and of looking since the stage's start, earlier processes included."""

    began: float | None = None
    looked_before: float = 0.0
    trained_earlier: float = 0.0
    looked_earlier: float = 0.0

    def start(self, looked: float) -> None:
        """Begin to count; `looked` are the seconds that the instruments have taken so far."""
        self.began, self.looked_before = time.perf_counter(), looked

    def looking(self, looked: float) -> float:
        """Seconds of looking in this process."""
        return looked - self.looked_before

    def training(self, looked: float) -> float:
        """Seconds of training in this process; none if it only measured a stage's end."""
        return 0.0 if self.began is None else time.perf_counter() - self.began - self.looking(looked)

    def totals(self, looked: float) -> dict[str, float]:
        """Both, earlier processes included."""
        return {
            "train_seconds": self.trained_earlier + self.training(looked),
            "measure_seconds": self.looked_earlier + self.looking(looked),
        }


@dataclass
class Meter:
    """CPU seconds of this process, all its threads: of the stage, and of what was done inside its callback.

    `ends`: looks at the stage's start and end, which no budget bounds. `between`: everything else in the callback,
    thinned looks and bookkeeping included. Measured directly, so that another program on the machine, or a step that
    waits, changes neither. `earlier`: the stage's seconds in processes before this one; `carry_on` takes all three up.
    """

    ends: float = 0.0
    between: float = 0.0
    earlier: float = 0.0
    _began: float | None = None
    _is_counting: bool = False

    def start(self) -> None:
        """Begin to count the stage."""
        self._began = time.process_time()

    @property
    def stage(self) -> float:
        """CPU seconds of the stage so far, the callback's own included."""
        return self.earlier + (0.0 if self._began is None else time.process_time() - self._began)

    @property
    def share(self) -> float | None:
        """The overhead: CPU time inside the callback between the ends, over the stage's without the ends."""
        bounded = self.stage - self.ends
        return self.between / bounded if bounded > 0.0 else None

    @contextmanager
    def counting(self, *, at_end: bool = False) -> Iterator[None]:
        """Count what is done inside: as a look at the stage's start or end, or as what the budget bounds."""
        if self._is_counting:  # what is counted inside is counted once, as what it stands in
            yield
            return
        self._is_counting, began = True, time.process_time()
        try:
            yield
        finally:
            self._is_counting, spent = False, time.process_time() - began
            if at_end:
                self.ends += spent
            else:
                self.between += spent

    def spent(self) -> dict[str, float]:
        """What is recorded of the seconds so far; `carry_on` takes it up."""
        return dict(zip(SPENT, (self.stage, self.between, self.ends), strict=True))

    def carry_on(self, spent: Mapping[str, Any]) -> None:
        """Count on from what earlier processes spent on this stage; what `spent` does not say is 0."""
        self.earlier, self.between, self.ends = (float(spent.get(name, 0.0)) for name in SPENT)
