"""Tables of measured checkpoints, as rows of cells for the page's template."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.checkpoints import Cell as Level
from interlace.checkpoints import Difference, Measured
from interlace.checkpoints.differences import num_comparisons
from interlace.checkpoints.figures import cost_table, of_layers, whole
from interlace.estimate import Figure, Unresolved, significant_texts
from interlace.report.formatting import NONE, Cell, Notes, objective_name, provenance
from interlace.report.tables import Table, words
from interlace.wording import p_value_text

KL = "kl_policy_first_nats_per_response"
TITLES = {
    "sft_loss": "SFT loss, nats/response",
    "reward": "Reward",
    "reward_lenient": "Reward (lenient parser)",
    KL: "KL to the first, nats/response",
    "sft_loss_right": "SFT loss on right responses",
    "sft_loss_wrong": "on wrong responses",
    "sft_loss_per_token": "per token, nats/token",
}
"""Objectives in the order of their columns, with the columns' titles."""
WHERE_MEASURED = frozenset({"reward_lenient"})
"""Objectives without a column where no checkpoint has them."""


def levels_table(name: str, first: str, order: Sequence[str], cells: Sequence[Level]) -> Table:
    """A row a checkpoint and task, a column an objective; `first` heads the column of names."""
    notes = Notes()
    found = {(cell.checkpoint, cell.task, cell.objective): cell.figure for cell in cells}
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    measured = {cell.objective for cell in cells if not isinstance(cell.figure, Unresolved)}
    shown = [objective for objective in TITLES if objective not in WHERE_MEASURED or objective in measured]
    rows = [
        (*words(item, task), *(notes.figure(found[item, task, objective]) for objective in shown))
        for item in order
        for task in tasks
    ]
    columns = (first, "Task", *(TITLES[objective] for objective in shown))
    return Table(name, columns, tuple(rows), 2, tuple(notes.reasons))


def differences_table(name: str, differences: Sequence[Difference]) -> Table:
    """A row a pair, task and objective; where a sign is not resolved, how large a change would have been found."""
    notes, count = Notes(), num_comparisons(differences)
    rows = [
        (
            *words(item.start, item.end, item.task, objective_name(item.objective)),
            notes.figure(item.figure, signed=True),
            _p_value(item.p_value),
            _p_value(item.p_value_adjusted),
            _detectable(item.detectable, notes),
        )
        for item in differences
    ]
    columns = ("From", "To", "Task", "Objective", "Change", "p", f"p after Holm over {count}", "Found from")
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


def figures_table(measured: Measured) -> Table:
    """A row a probe's quantity, checkpoint and task: what stands in no cell and belongs to the whole model."""
    notes = Notes()
    rows = [
        (
            *words(cell.objective, cell.checkpoint, cell.task),
            _significant(cell.figure, notes),
            *words(_unit(cell.figure)),
        )
        for cell in sorted(whole(measured), key=lambda cell: cell.objective)
    ]
    columns = ("Quantity", "Checkpoint", "Task", "Value", "Unit")
    return Table("Figures of the probes", columns, tuple(rows), 3, tuple(notes.reasons))


def costs_table(measured: Measured) -> Table:
    """D15: a row a checkpoint and rewarded task, a column a task whose SFT loss pays."""
    notes = Notes()
    rows = [
        (*words(name, rewarded), *(_significant(figure, notes) for figure in row))
        for name, rewarded, row in cost_table(measured)
    ]
    columns = ("Checkpoint", "Reward on", *(f"SFT loss on {task}" for task in measured.tasks))
    name = "What a unit of reward costs in SFT loss, to first order (D15), nats/response"
    return Table(name, columns, tuple(rows), 2, tuple(notes.reasons))


def layers_table(measured: Measured) -> Table:
    """Cosines of both gradients: a row a layer, a column a checkpoint and task."""
    notes, found = Notes(), of_layers(measured)
    layers = dict.fromkeys(layer for layer, _, _ in found)
    places = dict.fromkeys((name, task) for _, name, task in found)
    rows = [(*words(layer), *(_significant(found.get((layer, *place)), notes) for place in places)) for layer in layers]
    columns = ("Layer", *(f"{name}, {task}" if len(measured.tasks) > 1 else name for name, task in places))
    return Table("Cosine of both gradients, layer by layer", columns, tuple(rows), 1, tuple(notes.reasons))


def probe_tables(measured: Measured) -> list[Table]:
    """What probes found besides the cells, if anything."""
    tables = (costs_table(measured), figures_table(measured), layers_table(measured))
    return [table for table in tables if table.rows]


def _significant(figure: Figure | None, notes: Notes) -> Cell:
    """A figure of any size, by significant digits."""
    if figure is None:
        return Cell(NONE, tone="absent")
    if isinstance(figure, Unresolved):
        return notes.absent(figure.reason)
    return Cell(*significant_texts(figure), title=provenance(figure))


def _detectable(figure: Figure | None, notes: Notes) -> Cell:
    return Cell("") if figure is None else _significant(figure, notes)


def _unit(figure: Figure) -> str:
    return "" if isinstance(figure, Unresolved) else figure.unit


def _p_value(value: float | None) -> Cell:
    if value is None:
        return Cell(NONE, tone="absent")
    return Cell(p_value_text(value))
