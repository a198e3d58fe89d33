"""Progress: a bar a stage with both live figures and the time left; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

from interlace.estimate import Estimate, Figure
from interlace.measurement import RAW, Point
from interlace.observer import Observer

SECONDS_BETWEEN_LINES = 5.0
"""Least time between two lines about one stage where there is no terminal."""


class TerminalObserver(Observer):
    """Shows a run on `console`. Use as a context: the bars stop before anything else is printed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.figures: dict[str, str] = {}
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeLeftColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> TerminalObserver:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def run_started(self, folder: str, seed: int) -> None:
        """Say where the run is kept."""
        self.note(f"seed {seed} in {folder}")

    def stage_started(self, stage: str, name: str, kind: str, steps: int, already: int) -> None:
        """A new bar, its earlier steps done."""
        self.figures = {}
        self._bars[stage] = self._progress.add_task(stage, total=steps, completed=already, figures="")
        self._last_line = 0.0
        if not self.console.is_terminal:
            self.note(f"{stage}: {steps} steps" + (f", {already} done before" if already else ""))

    def step(self, stage: str, step: int) -> None:
        """Move the bar."""
        self._progress.update(self._bars[stage], completed=step)

    def measured(self, point: Point, figures: Mapping[str, Figure]) -> None:
        """Show the newest figures of the weights that are trained."""
        if point.weights != RAW:
            return
        self.figures[point.task] = live_figures(figures)
        several = len(self.figures) > 1
        text = "  ".join(f"{task}: {shown}" if several else shown for task, shown in self.figures.items())
        if point.stage in self._bars:
            self._progress.update(self._bars[point.stage], figures=text)
        if not self.console.is_terminal:
            self._line(f"{point.stage}: step {point.step}  {text}")

    def note(self, sentence: str) -> None:
        """A line above the bars."""
        self._progress.console.print(sentence, markup=False, soft_wrap=True)

    def stage_finished(self, stage: str) -> None:
        """Fill the bar."""
        total = next(task.total for task in self._progress.tasks if task.id == self._bars[stage])
        self._progress.update(self._bars[stage], completed=total)
        if not self.console.is_terminal:
            self.note(f"{stage}: finished")

    def _line(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.note(text)


def live_figures(figures: Mapping[str, Figure]) -> str:
    """Both objectives in a few characters; what was not measured is left out."""
    shown = {"sft_loss": "SFT loss", "reward": "reward"}
    found = ((name, figures.get(quantity)) for quantity, name in shown.items())
    return "  ".join(f"{name} {figure.value:.3f}" for name, figure in found if isinstance(figure, Estimate))
