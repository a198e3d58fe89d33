"""Tables of measured checkpoints, as rows of cells for the page's template."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.checkpoints import Cell as Level
from interlace.checkpoints import Difference, Measured
from interlace.report.formatting import NONE, Cell, Notes, objective_name
from interlace.report.tables import Table, words
from interlace.wording import p_value_text

KL = "kl_policy_first_nats_per_response"
TITLES = {
    "sft_loss": "SFT loss, nats/response",
    "reward": "Reward",
    KL: "KL to the first, nats/response",
    "sft_loss_right": "SFT loss on right responses",
    "sft_loss_wrong": "on wrong responses",
    "sft_loss_per_token": "per token, nats/token",
}
"""Objectives in the order of their columns, with the columns' titles."""


def levels_table(name: str, first: str, order: Sequence[str], cells: Sequence[Level]) -> Table:
    """A row a checkpoint and task, a column an objective; `first` heads the column of names."""
    notes = Notes()
    found = {(cell.checkpoint, cell.task, cell.objective): cell.figure for cell in cells}
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    rows = [
        (*words(item, task), *(notes.figure(found[item, task, objective]) for objective in TITLES))
        for item in order
        for task in tasks
    ]
    columns = (first, "Task", *TITLES.values())
    return Table(name, columns, tuple(rows), 2, tuple(notes.reasons))


def differences_table(name: str, differences: Sequence[Difference]) -> Table:
    """A row a pair, task and objective."""
    notes = Notes()
    rows = [
        (
            *words(item.start, item.end, item.task, objective_name(item.objective)),
            notes.figure(item.figure, signed=True),
            _p_value(item.p_value),
            _p_value(item.p_value_adjusted),
        )
        for item in differences
    ]
    columns = ("From", "To", "Task", "Objective", "Change", "p", "p after Holm")
    return Table(name, columns, tuple(rows), 4, tuple(notes.reasons))


def line_tables(measured: Measured) -> list[Table]:
    """Levels and changes along the straight line, if one was measured."""
    if measured.line is None:
        return []
    line = measured.line
    return [
        levels_table("Along the straight line", "Position", line.names, line.cells),
        differences_table("Changes from position 0", line.differences),
    ]


def _p_value(value: float | None) -> Cell:
    if value is None:
        return Cell(NONE, tone="absent")
    return Cell(p_value_text(value))
