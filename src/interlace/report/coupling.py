"""The coupling table on the page: a row an arm, with what it did to SFT loss, where, and what it did to reward."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.coupling import CouplingRow, coupling_table
from interlace.analysis.summary import RunSummary
from interlace.report.formatting import Cell, Notes, weights_name
from interlace.report.tables import Table, words

COLUMNS = ("Arm", "Task", "Weights", "SFT loss before", "after", "change", "on right responses", "on wrong responses",
           "Change of reward")  # fmt: skip
LENIENT = "by the lenient parser"
"""The column of a second reward, where any arm has one."""


def arms_table(runs: Sequence[RunSummary]) -> Table:
    """The arms of one recipe over its seeds; `runs` holds the seeds that its rule leaves out too."""
    rows, notes = coupling_table(runs), Notes()
    most = max((row.num_seeds for row in rows), default=0)
    has_lenient = any(row.reward_lenient_change is not None for row in rows)
    cells = [
        (*_cells(before, row, most, notes), *[_lenient(row, notes)] * has_lenient)
        for before, row in zip([None, *rows], rows, strict=False)
    ]
    columns = (*COLUMNS, *[LENIENT] * has_lenient)
    return Table(_title(rows), columns, tuple(cells), 3, tuple(notes.reasons))


def _title(rows: Sequence[CouplingRow]) -> str:
    if not rows:
        return ""
    left_out = f", {rows[0].num_excluded} left out by the recipe\u2019s rule" if rows[0].num_excluded else ""
    return f"{rows[0].recipe}, {max(row.num_seeds for row in rows)} seeds{left_out}: what each arm did (nats/response)"


def _cells(before: CouplingRow | None, row: CouplingRow, most_seeds: int, notes: Notes) -> tuple[Cell, ...]:
    """What the row above already says is left blank."""
    repeats = before is not None and before.arm == row.arm
    return (
        Cell("") if repeats else _arm(row, most_seeds),
        *words("" if repeats and before is not None and before.task == row.task else row.task),
        *words(weights_name(row.weights)),
        *notes.change(row.sft_loss_before, row.sft_loss_after, row.sft_loss_change),
        *(notes.figure(figure, signed=True) for figure in (row.right, row.wrong, row.reward_change)),
    )


def _lenient(row: CouplingRow, notes: Notes) -> Cell:
    figure = row.reward_lenient_change
    return Cell("") if figure is None else notes.figure(figure, signed=True)


def _arm(row: CouplingRow, most_seeds: int) -> Cell:
    """The stage, where it began, whether it is a control, and how many seeds it has, where others have more."""
    start = f"from {row.started_from or 'the model'}"
    few = f"{row.num_seeds} seed{'s' * (row.num_seeds > 1)} only" if row.num_seeds < most_seeds else ""
    parts = filter(None, (start, "control" * bool(row.control), few))
    return Cell(row.arm, interval=", ".join(parts), title=row.control or "", tone="stage")
