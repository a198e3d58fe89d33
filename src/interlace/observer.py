"""Observer: who watches a run while it goes. The terminal implements it; the library works without one."""

from __future__ import annotations

from collections.abc import Mapping

from interlace.estimate import Figure
from interlace.measurement import Point


class Observer:
    """Told of everything that happens in a run; every method does nothing here and may be overridden."""

    def run_started(self, folder: str, seed: int) -> None:
        """A run folder was taken for one seed."""

    def stage_started(self, stage: str, name: str, kind: str, steps: int, already: int) -> None:
        """A stage of `steps` optimizer steps begins, `already` of them done by an earlier process."""

    def step(self, stage: str, step: int) -> None:
        """One more optimizer step is done."""

    def measured(self, point: Point, figures: Mapping[str, Figure]) -> None:
        """Figures were recorded at `point`."""

    def note(self, sentence: str) -> None:
        """Something a user should read."""

    def stage_finished(self, stage: str) -> None:
        """All steps of a stage are done and saved."""
