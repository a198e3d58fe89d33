"""Measured checkpoints in the terminal: a table of levels, one of differences, the line, and which to keep."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from interlace.checkpoints import Cell, Difference, Line, Measured
from interlace.checkpoints.differences import num_comparisons
from interlace.cli.measured_figures import print_figures
from interlace.estimate import Figure, Unresolved, interval_text, significant_texts, value_text
from interlace.wording import p_value_text

COLUMNS = {
    "sft_loss": "SFT loss",
    "sft_loss_right": "on right\nresponses",
    "sft_loss_wrong": "on wrong\nresponses",
    "reward": "reward",
    "reward_lenient": "reward\n(lenient parser)",
    "kl_policy_first_nats_per_response": "KL to\nthe first",
}
"""Objectives of the table of levels."""
SHOWN = ("sft_loss", "reward")
"""Objectives of the table of differences."""
FOUND_FROM = "found from"
"""The least change that would have been found in 80 % of cases."""
WORDS = {"sft_loss": "SFT loss", "reward": "reward"}


def print_measured(console: Console, measured: Measured) -> None:
    """Everything a reader needs first; the rest is in JSON, CSV and HTML."""
    names = [checkpoint.name for checkpoint in measured.checkpoints]
    for task in measured.tasks:
        console.print(levels_table(f"{task} (SFT loss and KL in nats/response)", names, task, measured.cells))
    _say(console, *measured.on_format)
    if measured.differences:
        console.print(differences_table(measured.differences, several=len(measured.tasks) > 1))
        count = num_comparisons(measured.differences)
        _say(
            console,
            f"Each interval stands alone; p is after Holm over {count} comparison{'s' * (count != 1)}; "
            "a change as large as `found from` would be found in 80 % of cases.",
        )
    if len(names) > 1:
        _say(console, f"Pareto set: {', '.join(measured.pareto)}")
    print_figures(console, measured)
    if measured.line is not None:
        _print_line(console, measured.line, measured.tasks)
    if len(names) > 1:
        _say(console, f"Recommended: {measured.recommendation}")
    for item in measured.checkpoints:
        if item.also:
            _say(console, f"Listed once: {item.name} holds the weights of {', '.join(item.also)} too")
        if item.origin:
            _say(console, f"{item.name} is {item.origin}")
    for reason in reasons(measured):
        _say(console, f"Not resolved: {reason}")


def _print_line(console: Console, line: Line, tasks: Sequence[str]) -> None:
    console.print()
    for task in tasks:
        title = f"{task}: the straight line from {line.start} (0) to {line.end} (1)"
        console.print(levels_table(title, line.names, task, line.cells, "position"))
    _say(console, f"Pareto part: {', '.join(line.pareto)}")


def levels_table(
    title: str, names: Sequence[str], task: str, cells: Sequence[Cell], first: str = "checkpoint"
) -> Table:
    """A row a checkpoint, `first` heads their names; objectives that no checkpoint has are left out."""
    found = {(cell.checkpoint, cell.objective): cell.figure for cell in cells if cell.task == task}
    shown = [key for key in COLUMNS if any(not isinstance(found[name, key], Unresolved) for name in names)]
    table = _table(title)
    table.add_column(first, no_wrap=True, min_width=min(24, max(map(len, names), default=0)))
    for key in shown:
        table.add_column(COLUMNS[key], justify="right")
    for name in names:
        table.add_row(name, *(_cell(found[name, key]) for key in shown))
    return table


def differences_table(differences: Sequence[Difference], several: bool) -> Table:
    """A row a pair and objective; p-values after Holm over all distinct comparisons of the result.

    The last column stands where a sign is not resolved: how large a change would have been found.
    """
    table = _table("Differences, paired on the same prompts")
    for column in ("from", "to", *(["task"] * several), "objective", "change", "p", FOUND_FROM):
        table.add_column(column, justify="left" if column in ("from", "to", "task", "objective") else "right")
    for item in differences:
        if item.objective in SHOWN:
            where = (item.start, item.end, *([item.task] * several), WORDS[item.objective])
            table.add_row(*where, _change(item.figure), _p_value(item.p_value_adjusted), _detectable(item.detectable))
    return table


def reasons(measured: Measured) -> list[str]:
    """Why figures of the tables are missing, each reason once."""
    cells = [cell for cell in measured.cells if cell.objective in COLUMNS and cell.objective != "reward_lenient"]
    shown = [difference for difference in measured.differences if difference.objective in SHOWN]
    figures = [*(cell.figure for cell in cells), *(d.figure for d in shown), *(d.detectable for d in shown)]
    return list(dict.fromkeys(figure.reason for figure in figures if isinstance(figure, Unresolved)))


def _say(console: Console, *sentences: str) -> None:
    for sentence in sentences:
        console.print(sentence, markup=False, soft_wrap=True)


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )


def _cell(figure: Figure) -> str:
    if isinstance(figure, Unresolved):
        return "\u2013"
    return f"{value_text(figure)}\n{interval_text(figure)}".rstrip()


def _change(figure: Figure) -> str:
    if isinstance(figure, Unresolved):
        return "not resolved"
    return f"{value_text(figure, signed=True)} {interval_text(figure, signed=True)}".rstrip()


def _detectable(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return "\u2013" if isinstance(figure, Unresolved) else significant_texts(figure)[0]


def _p_value(value: float | None) -> str:
    return "\u2013" if value is None else p_value_text(value)
