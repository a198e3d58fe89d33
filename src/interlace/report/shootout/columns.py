"""Columns of a shoot-out's tables: what each shows of a row, what it means, and when it is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from interlace.analysis.shootout import ShootoutRow, Standing
from interlace.analysis.shootout.compute import SHORT
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.report.formatting import NONE, Cell, Notes, compact, weights_name
from interlace.report.tables import Table, words

HEADINGS = ("Arm", "Weights")
NOT_COUNTED = "it was not counted"
MARKS = (
    "\u2020: no other row has at least as much reward and at most as much SFT loss, and one of them better, by the "
    f"means. \u2021: the arm ended with less than {SHORT:.0%} of the common compute, and is told where it ended. "
    "\u00a7: it took as much, but its looks lie so far apart that it is told by one at less than that."
)
PLACE = (
    "Place: by the change of R \u2212 \u03bbL among rows of the same weights; the intervals of all of them hold "
    "together, by all paired differences, so that of many arms and few seeds hardly any is resolved (`--only`: those "
    "that were named beforehand). Equal values share the mean of their places."
)
LEAD = (
    "Lead: each row by itself, run by run; it speaks of an arm that was named before the figures were there. Of many "
    "rows some lead by chance: to pick a winner trust Place and the sentence at the top of the page, whose intervals "
    "hold for all rows together."
)
AT_BEST = (
    "At its best: in each run where that arm has most R \u2212 \u03bbL by the prompts that do not judge, be it under "
    "its own weights, their average, on its line, or at its start, not trained at all. A lead over an arm that went "
    "too far is that arm\u2019s fall; what is above it there is the row\u2019s own."
)
BEHIND = (
    "Behind the best: of the same weights, run by run; the intervals of all pairs of arms hold together, since the "
    "best is picked from them."
)
FRONT = "Over the front: SFT loss beyond the least that any policy can have at that reward (D9)."
SHARE = (
    "Share of the attainable gain: the change of R \u2212 \u03bbL over the greatest that any policy could have made "
    "from the start (D9)."
)
AREA = "Hypervolume: the area of reward and SFT loss that an arm\u2019s looks dominate, over the front\u2019s."
BETTER = "Better: in which share of runs its value is above, with the exact interval of so few."
ELSEWHERE = "Other held-out tasks: those that this pair neither reinforces nor imitates."


class Column(NamedTuple):
    """`cell`: of a row; `absent`: why it has no figure there, None where it has; `meaning`: a sentence, or nothing."""

    title: str
    cell: Callable[[ShootoutRow, Notes], Cell]
    absent: Callable[[ShootoutRow], str | None]
    meaning: str = ""


def figures(title: str, of: Callable[[ShootoutRow], Figure], meaning: str = "", signed: bool = False) -> Column:
    """A column of figures."""
    return Column(title, lambda row, notes: notes.figure(of(row), signed=signed), lambda row: _reason(of(row)), meaning)


def main_columns(against: str) -> tuple[Column, ...]:
    """At equal FLOPs: what decides first."""
    return (
        _place_column(),
        figures("Reward", lambda row: row.reward),
        figures("SFT loss", lambda row: row.sft_loss),
        figures(f"Lead over {against}", lambda row: row.lead, LEAD, signed=True),
        figures(f"Over {against} at its best", lambda row: row.lead_at_best, AT_BEST, signed=True),
        figures("Better", lambda row: row.better, BETTER),
        _value_column(),
        figures("Over the front", lambda row: row.excess, FRONT),
        Column("Imitated", _imitated, lambda row: NOT_COUNTED if row.imitation is None else None,
               "Imitated: mean weight of imitation in the updates."),
        _step_column(),
        _compute_column("Compute: per parameter. On the line: the best place between start and end."),
    )  # fmt: skip


def by_tokens_columns() -> tuple[Column, ...]:
    """At equal tokens: the places."""
    reward, loss = figures("Reward", lambda row: row.reward), figures("SFT loss", lambda row: row.sft_loss)
    return _place_column(), reward, loss, _value_column(), _step_column(), _compute_column()


def secondary_columns(tasks: Sequence[str]) -> tuple[Column, ...]:
    """Secondary metrics, and the change of reward on other held-out `tasks`."""
    return (
        figures("Behind the best", lambda row: row.behind, BEHIND, signed=True),
        figures("Share of the attainable gain", lambda row: row.gain_share, SHARE, signed=True),
        figures("Hypervolume", lambda row: row.area, AREA),
        figures("Change of SFT loss on right responses", lambda row: row.sft_loss_right_change, signed=True),
        figures("pass@8", lambda row: row.pass_at_8),
        *(_elsewhere_column(task, ELSEWHERE * (number == 0)) for number, task in enumerate(tasks)),
    )


def table_of(
    name: str,
    columns: Sequence[Column],
    rows: Sequence[ShootoutRow],
    *,
    before: str = "",
    after: str = "",
    marked: bool = True,
) -> Table:
    """A row an arm and kind of weights; a column that has no figure in any row is left out, and the remark says why.
    `before`, `after`: more of the remark; `marked`: with the marks of `MARKS`."""
    notes = Notes()
    kept = [column for column in columns if any(column.absent(row) is None for row in rows)]
    cells = tuple((*_first_cells(row, marked), *(column.cell(row, notes) for column in kept)) for row in rows)
    said = (before, MARKS * marked, *(column.meaning for column in kept), _without(columns, kept, rows), after)
    titles = (*HEADINGS, *(column.title for column in kept))
    return Table(name, titles, cells, len(HEADINGS), tuple(notes.reasons), " ".join(filter(None, said)))


def place_cell(row: ShootoutRow | Standing, notes: Notes) -> Cell:
    """A place and its interval."""
    if not isinstance(row.rank, Estimate):
        return notes.figure(row.rank)
    ends = f"{row.rank.lower:.3g}\u2013{row.rank.upper:.3g}"
    return Cell(f"{row.rank.value:.3g}", interval=ends, title=row.rank.method)


def _without(columns: Sequence[Column], kept: Sequence[Column], rows: Sequence[ShootoutRow]) -> str:
    """Which columns are left out, each with the first reason that is there."""
    left_out = [column for column in columns if column not in kept]
    if not left_out or not rows:
        return ""
    named = "; ".join(f"{column.title} ({column.absent(rows[0])})" for column in left_out)
    return f"Left out, without a figure in any row: {named}."


def _reason(figure: Figure) -> str | None:
    return figure.reason if isinstance(figure, Unresolved) else None


def _first_cells(row: ShootoutRow, marked: bool) -> tuple[Cell, ...]:
    marks = ("\u2020" * row.on_pareto + "\u2021" * row.is_short + "\u00a7" * row.is_early) * marked
    under = (row.method * (row.method != row.arm), "before its blend" * row.is_before_blend, row.looked_early)
    return Cell(f"{row.arm}{marks}", interval=", ".join(filter(None, under)), tone="stage"), *words(
        weights_name(row.weights)
    )


def _place_column() -> Column:
    return Column("Place", place_cell, lambda row: _reason(row.rank), PLACE)


def _value_column() -> Column:
    return figures("Change of R \u2212 \u03bbL", lambda row: row.value, signed=True)


def _step_column() -> Column:
    return Column("Step", lambda row, _: Cell(f"{row.step:.0f}"), lambda _: None)


def _compute_column(meaning: str = "") -> Column:
    return Column(
        "Compute", lambda row, _: Cell(compact(row.compute), title="mean over seeds"), lambda _: None, meaning
    )


def _imitated(row: ShootoutRow, _: Notes) -> Cell:
    return Cell(NONE if row.imitation is None else f"{row.imitation:.2f}")


def _elsewhere_column(task: str, meaning: str) -> Column:
    return Column(
        f"Change of reward on {task}",
        lambda row, notes: notes.figure(row.elsewhere[task], signed=True) if task in row.elsewhere else Cell(""),
        lambda row: _reason(row.elsewhere[task]) if task in row.elsewhere else "not measured",
        meaning,
    )
