"""The table of arms that several recipes have in common."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.shootout import Shootout, standings
from interlace.errors import DataError
from interlace.report.formatting import Cell, Notes, weights_name
from interlace.report.shootout.columns import place_cell
from interlace.report.tables import Table, words
from interlace.wording import counted

COLUMNS = ("Arm", "Weights", "Mean place", "Share of the attainable gain", "Better than {}")
REMARK = (
    "Arms and seeds that all recipes have. Mean place: the intervals of all arms under the same weights hold together, "
    "by all paired differences on all recipes. Share of the attainable gain: interquartile mean over all runs; "
    "intervals draw runs anew within each recipe. Better: in which share of runs its value is above, with the exact "
    "interval. A run that is compared on several pairs of tasks counts once, by the mean over them."
)


def standings_table(found: Sequence[Shootout]) -> Table:
    """The standings over shoot-outs of two recipes or more; the reason where there are none."""
    try:
        rows, notes = standings(found), Notes()
    except DataError as error:
        return Table("Standings over recipes", ("Why there are none",), (words(str(error)),), 1)
    cells = tuple(
        (
            Cell(row.arm, tone="stage"),
            *words(weights_name(row.weights)),
            place_cell(row, notes),
            notes.figure(row.gain_share, signed=True),
            notes.figure(row.better),
        )
        for row in rows
    )
    columns = tuple(column.format(rows[0].against) for column in COLUMNS)
    seeds = counted(rows[0].num_seeds, "seed")
    pairs = f" ({rows[0].pairs} pairs of tasks)" * (rows[0].pairs > rows[0].recipes)
    title = f"Standings over {rows[0].recipes} recipes{pairs} at equal FLOPs, {seeds} of each"
    return Table(title, columns, cells, 2, tuple(notes.reasons), REMARK)
