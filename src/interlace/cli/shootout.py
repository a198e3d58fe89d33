"""The shoot-out in the terminal: a table for each pair of tasks, and what it says. All columns are in the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from interlace.analysis.shootout import Shootout, ShootoutRow, shootout_sentences
from interlace.estimate import Estimate, Figure, interval_text, value_text
from interlace.methods import KNOW_EXPERT

COLUMNS = ("arm", "weights", "place", "reward", "SFT loss", "lead over {}")
CAPTION = "Places are among rows of the same weights."
MOST = 12
"""Rows that are shown of each table."""


def print_shootouts(console: Console, shootouts: Sequence[Shootout]) -> None:
    """At equal FLOPs, the best by R - lambda L of each pair of tasks."""
    for found in shootouts:
        if found.by == "flops":
            for table in shootout_tables(found):
                console.print(table, markup=False)
            for sentence in shootout_sentences(found, KNOW_EXPERT):
                console.print(sentence, markup=False, soft_wrap=True)
            console.print()


def shootout_tables(found: Shootout) -> Iterator[Table]:
    """The best rows of each pair of tasks and the arm that they are held against, by kind of weights: places are among
    rows of the same."""
    for pair in found.pairs:
        rows = [row for row in found.rows if row.pair == pair]
        least = sorted((_mean(row) for row in rows), reverse=True)[:MOST][-1]
        shown = [row for row in rows if _mean(row) >= least or row.arm == found.against]
        title = f"{rows[0].recipe}: {pair.name} at equal FLOPs, by R \u2212 {found.exchange_rate:g} L"
        more = f" ({len(shown)} of {len(rows)} rows)" if len(shown) < len(rows) else ""
        table = Table(title=title + more, title_justify="left", title_style="bold", box=None, header_style="bold",
                      caption=CAPTION, caption_justify="left",
                      padding=(0, 2, 0, 0))  # fmt: skip
        for column in COLUMNS:
            table.add_column(column.format(found.against), justify="left" if column in COLUMNS[:2] else "right")
        for before, row in zip([None, *shown], shown, strict=False):
            if before and before.weights != row.weights:
                table.add_section()
            table.add_row(*_cells(row))
        yield table


def _mean(row: ShootoutRow) -> float:
    return sum(row.values) / len(row.values)


def _cells(row: ShootoutRow) -> tuple[str, ...]:
    rank = row.rank
    place = f"{rank.value:.3g}\n{rank.lower:.3g}\u2013{rank.upper:.3g}" if isinstance(rank, Estimate) else "\u2013"
    lead = _cell(row.lead, signed=True) if isinstance(row.lead, Estimate) else "\u2013"
    return row.arm, row.weights, place, _cell(row.reward), _cell(row.sft_loss), lead


def _cell(figure: Figure, signed: bool = False) -> str:
    if isinstance(figure, Estimate):
        return f"{value_text(figure, signed)}\n{interval_text(figure, signed)}".rstrip()
    return "not resolved"
