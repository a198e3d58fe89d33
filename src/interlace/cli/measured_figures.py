"""What probes found besides the cells, in the terminal: the main figures of each task, and D15's matrix of costs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from interlace.checkpoints import Cell, Measured
from interlace.checkpoints.figures import cost_table, costs
from interlace.estimate import Figure, Unresolved, significant_texts

ROWS = {
    "gradient_cosine": "cosine of both gradients",
    "gradient_cosine_bound": "its bound by subspaces (B7)",
    "sft_loss_gradient_signal_share": "signal share, SFT loss",
    "reward_gradient_signal_share": "signal share, reward",
    "pl_constant_sft": "PL constant, SFT loss",
    "pl_constant_reward": "PL constant, reward",
    "curvature_along_displacement": "curvature of SFT loss along the way here",
    "curvature_along_reward_gradient": "curvature along the reward's gradient",
    "smoothness": "sharpest curvature of SFT loss",
    "optimal_progress": "progress of RL that pays most (B5)",
}
"""Quantities worth a row; the others are in JSON, CSV and HTML."""


def print_figures(console: Console, measured: Measured) -> None:
    """Both kinds of table, if anything stands in them; why a figure is missing is said in JSON, CSV and HTML."""
    if not measured.figures:
        return
    names = [checkpoint.name for checkpoint in measured.checkpoints]
    for task in measured.tasks:
        table = figures_table(f"{task}: gradients and curvature", names, task, measured.figures)
        if table.row_count:
            console.print(table)
    if costs(measured):
        console.print(costs_table(measured))
    console.print("Every other figure, layer by layer too, and why one is missing: --json, --csv, --html", markup=False)


def figures_table(title: str, names: Sequence[str], task: str, figures: Sequence[Cell]) -> Table:
    """A row a quantity that any checkpoint has, a column a checkpoint."""
    found = {(cell.checkpoint, cell.objective): cell.figure for cell in figures if cell.task == task}
    table = _table(title)
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for quantity, words in ROWS.items():
        if any((name, quantity) in found for name in names):
            table.add_row(words, *(_text(found.get((name, quantity))) for name in names))
    return table


def costs_table(measured: Measured) -> Table:
    """A row a checkpoint and rewarded task, a column a task whose SFT loss pays."""
    table = _table("What a unit of reward costs in SFT loss, to first order (D15, nats/response; minus: it falls)")
    for column in ("checkpoint", "reward on"):
        table.add_column(column)
    for task in measured.tasks:
        table.add_column(f"SFT loss on {task}", justify="right")
    for name, rewarded, row in cost_table(measured):
        table.add_row(name, rewarded, *map(_text, row))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))


def _text(figure: Figure | None) -> str:
    if figure is None or isinstance(figure, Unresolved):
        return "\u2013"
    return " ".join(significant_texts(figure)).rstrip()
