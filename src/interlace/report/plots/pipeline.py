"""A run's stages laid end to end: where each begins and ends on the shared axis of optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.analysis.summary import PREDICTED, Curve, RunSummary, StageSummary
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.report.formatting import shorten
from interlace.report.plots.base import plot_text

RL = "rl"


@dataclass(frozen=True, slots=True)
class Placed:
    """A stage from `start` to `end`, optimizer steps of the whole pipeline."""

    stage: StageSummary
    start: int
    end: int

    @property
    def colour(self) -> str:
        """The colour of what the stage trains: imitation or reinforcement."""
        return stage_colour(self.stage.kind)

    def abscissa(self, curve: Curve) -> list[float]:
        """The curve's steps on the shared axis."""
        return [float(self.start + step) for step in curve.steps]


def stage_colour(kind: str) -> str:
    """The colour's name of a kind of stage."""
    return "@rl" if kind == RL else "@sft"


def stage_label(stage: StageSummary) -> str:
    """A stage's name for a label, fit for plotly; a control is called one."""
    return plot_text(shorten(stage.name, 16)) + (" (control)" if stage.control else "")


def place(summary: RunSummary) -> list[Placed]:
    """The stages one after another, each as long as it was trained (or measured, if it did not finish)."""
    placed: list[Placed] = []
    start = 0
    for stage in summary.stages:
        measured = [step for curve in stage.curves for step in curve.steps]
        end = start + max([stage.steps_done, *measured])
        placed.append(Placed(stage, start, end))
        start = end
    return placed


def tasks(summary: RunSummary) -> list[str]:
    """The tasks that were measured, in order of first appearance."""
    return list(dict.fromkeys(curve.task for stage in summary.stages for curve in stage.curves))


def title_of(task: str, summary: RunSummary) -> str:
    """A figure's title: its task, where a run has several; else the section's heading says enough."""
    return f"Task {task}" if len(tasks(summary)) > 1 else ""


def since_rl(placed: Sequence[Placed]) -> list[Placed]:
    """The first RL stage and all that follow: where the objectives meet. All stages if none is RL."""
    first = next((i for i, item in enumerate(placed) if item.stage.kind == RL), 0)
    return list(placed[first:])


def figures_of(curve: Curve, quantity: str) -> tuple[Figure, ...]:
    """A curve's figures of ``sft_loss`` or ``reward``."""
    return curve.sft_loss if quantity == "sft_loss" else curve.reward


def curve_of(stage: StageSummary, task: str, weights: str = RAW) -> Curve | None:
    """The curve of one task and kind of weights, if it has points."""
    curve = stage.curve(weights, task)
    return curve if curve is not None and len(curve) else None


def extent(placed: Sequence[Placed], task: str, quantity: str) -> list[float]:
    """Every value and interval end that a figure of `task` must have room for."""
    ends: list[float] = []
    for item in placed:
        for curve in filter(None, (curve_of(item.stage, task, kind) for kind in (RAW, AVERAGED, LINE, PREDICTED))):
            known = [figure for figure in figures_of(curve, quantity) if isinstance(figure, Estimate)]
            ends += [end for figure in known for end in (figure.lower, figure.value, figure.upper)]
    return ends
