"""Tables of figures as plain rows of cells: the page's template only lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interlace.analysis.seeds import ObjectiveChangeAcrossSeeds, across_seeds, figures_across_seeds
from interlace.analysis.summary import PREDICTED, Curve, Landmarks, ObjectiveChange, RunSummary, StageSummary
from interlace.report.formatting import OBJECTIVES, Cell, Notes, objective_name, weights_name
from interlace.wording import number

Change: TypeAlias = ObjectiveChange | ObjectiveChangeAcrossSeeds

CHANGES = ("Stage", "Objective", "Weights", "Before", "After", "Change")
SIGNED = ("right", "wrong", "tilt", "off_path")
PARTS = {
    "right": "change on right expert responses, nats/response",
    "wrong": "change on wrong expert responses, nats/response",
    "tilt": "change along the tilt towards reward, nats/response",
    "off_path": "change off that path, nats/response",
    "rl_time": "RL time of that tilt",
    "reward_at_least_sft_loss": "reward where SFT loss was least",
    "expert_reward": "the expert\u2019s reward",
}
"""Figures of a stage that are followed over seeds, in prose."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `columns` (titles), `rows` (each led by its heading cells), and the footnotes of its dashes.

    The first `headings` cells of a row are text; the others are figures and stand on the right. `remark`: how to read
    it, under the table.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    headings: int
    notes: tuple[str, ...] = ()
    remark: str = ""


def words(*texts: str) -> tuple[Cell, ...]:
    """Text cells."""
    return tuple(Cell(text) for text in texts)


def stage_table(summary: RunSummary) -> Table:
    """Every objective of every stage: before, after, change, with intervals; raw and averaged weights."""
    notes = Notes()
    rows = [row for stage in summary.stages for row in _change_rows(_stage_cell(stage), stage.objectives, notes)]
    return Table("Every stage, before and after", CHANGES, tuple(rows), 3, tuple(notes.reasons))


def seeds_table(group: Sequence[RunSummary]) -> Table:
    """Means over the seeds of one recipe with intervals over seeds: what the recipe does, not what one run did."""
    notes = Notes()
    changes = across_seeds(group)
    by_stage = [(stage, [change for change in changes if change.stage == stage.name]) for stage in group[0].stages]
    rows = [row for stage, found in by_stage for row in _change_rows(_lead(stage), found, notes)]
    return Table(f"{_seeds(group)}, before and after each stage", CHANGES, tuple(rows), 3, tuple(notes.reasons))


def _seeds(group: Sequence[RunSummary]) -> str:
    return f"{group[0].recipe}, {len(group)} seeds"


def _stage_cell(stage: StageSummary) -> Cell:
    planned = f" of {stage.steps_planned:,}" if stage.steps_done != stage.steps_planned else ""
    under = [f"{stage.steps_done:,}{planned} steps", *filter(None, [stage.ending]), *["control"] * bool(stage.control)]
    return Cell(stage.name, interval=", ".join(under), tone="stage")


def _lead(stage: StageSummary) -> Cell:
    return Cell(stage.name, interval="control" if stage.control else "", title=stage.control or "", tone="stage")


def _change_rows(stage: Cell, changes: Sequence[Change], notes: Notes) -> list[tuple[Cell, ...]]:
    """One stage's rows; what the row above already says is left blank."""
    ordered = _ordered(changes)
    several = len({change.task for change in changes}) > 1
    rows: list[tuple[Cell, ...]] = []
    for before, change in zip([None, *ordered], ordered, strict=False):
        repeats = before is not None and (before.task, before.objective) == (change.task, change.objective)
        objective = Cell("") if repeats else _objective_cell(change, several)
        heads = (stage if before is None else Cell(""), objective, Cell(weights_name(change.weights)))
        rows.append((*heads, *notes.change(change.before, change.after, change.change)))
    return rows


def _ordered(changes: Sequence[Change]) -> list[Change]:
    """By task, then objective in the order of `OBJECTIVES`, then raw before averaged."""
    tasks = list(dict.fromkeys(change.task for change in changes))
    order = [*OBJECTIVES, *dict.fromkeys(change.objective for change in changes)]
    return sorted(changes, key=lambda c: (tasks.index(c.task), order.index(c.objective), c.weights != "raw"))


def _objective_cell(change: Change, several: bool) -> Cell:
    """The objective with its unit, and with its task where a run has several."""
    unit = OBJECTIVES.get(change.objective, ("", ""))[1]
    parts = (unit if unit != "reward" else "", f"on {change.task}" if several else "")
    return Cell(objective_name(change.objective), interval=", ".join(filter(None, parts)))


def landmark_table(summary: RunSummary) -> Table:
    """Where each stage passed the expert's reward and where its SFT loss was least."""
    notes = Notes()
    rows = [
        (*words(stage.name, weights_name(weights)), *_landmark_cells(stage, landmarks, notes))
        for stage in summary.stages
        for weights, landmarks in stage.landmarks.items()
    ]
    columns = ("Stage", "Weights", "Expert\u2019s reward", "Passed at step", "Above it, resolved, from step",
               "Least SFT loss", "at step", "Reward there")  # fmt: skip
    return Table("Landmarks", columns, tuple(rows), 2, tuple(notes.reasons))


def _landmark_cells(stage: StageSummary, landmarks: Landmarks, notes: Notes) -> tuple[Cell, ...]:
    return (
        notes.figure(stage.expert_reward),
        notes.step(landmarks.parity_crossing),
        notes.step(landmarks.parity_step),
        notes.figure(landmarks.least_sft_loss),
        notes.step(landmarks.least_sft_loss_step),
        notes.figure(landmarks.reward_at_least_sft_loss),
    )


CONSTANTS = {
    "pl_constant_sft": "least mu of SFT loss",
    "pl_constant_reward": "least mu of reward",
    "smoothness": "largest smoothness",
}
"""Constants of the landscape along a stage, as the table calls them."""


def path_constants_table(summary: RunSummary) -> Table:
    """The landscape along every stage: its least PL constants and its largest smoothness."""
    notes = Notes()
    rows = [
        (
            *words(stage.name, constant.task, CONSTANTS[constant.quantity]),
            notes.figure(constant.figure),
            *words("" if constant.step is None else f"{constant.step:,}"),
            *words(f"{constant.silent} of {constant.looks}"),
        )
        for stage in summary.stages
        for constant in stage.path_constants
    ]
    columns = ("Stage", "Task", "Constant", "Over the looks", "Read at step", "Looks that could not tell")
    return Table("The landscape along the stages", columns, tuple(rows), 3, tuple(notes.reasons))


def parts_table(group: Sequence[RunSummary]) -> Table:
    """Parts of the splits and landmarks, over the seeds of one recipe."""
    notes = Notes()
    rows = figures_across_seeds(group)
    cells = [
        (
            Cell("") if before and before.stage == row.stage else _lead(group[0].stages[row.stage]),
            *words(PARTS.get(row.name, row.name), weights_name(row.weights)),
            notes.figure(row.figure, signed=row.name in SIGNED),
        )
        for before, row in zip([None, *rows], rows, strict=False)
    ]
    columns = ("Stage", "Figure", "Weights", "Mean")
    return Table(f"{_seeds(group)}, parts of the change", columns, tuple(cells), 3, tuple(notes.reasons))


def points_table(summary: RunSummary) -> Table:
    """Every measured point of every curve: the numbers behind the figures."""
    notes = Notes()
    curves = [(stage, curve) for stage in summary.stages for curve in stage.curves if curve.weights != PREDICTED]
    rows = [row for stage, curve in curves for row in _point_rows(stage, curve, notes)]
    columns = ("Stage", "Task", "Weights", "Step or position", "SFT loss", "Reward", "KL to the stage\u2019s start")
    return Table("Every measured point", columns, tuple(rows), 3, tuple(notes.reasons))


def _point_rows(stage: StageSummary, curve: Curve, notes: Notes) -> list[tuple[Cell, ...]]:
    heads = words(stage.name, curve.task, weights_name(curve.weights))
    places = [Cell(number(at, 2 if curve.positions else 0)) for at in curve.abscissa]
    return [
        (*heads, place, notes.figure(loss), notes.figure(reward), notes.figure(kl))
        for place, loss, reward, kl in zip(places, curve.sft_loss, curve.reward, curve.kl, strict=True)
    ]
