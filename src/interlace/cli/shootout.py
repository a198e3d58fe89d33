"""The shoot-out in the terminal: a table for each pair of tasks, and what it says. All columns are in the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from interlace.analysis.shootout import NoShootout, Pair, Shootout, ShootoutRow, shootout_sentences
from interlace.estimate import Estimate, Figure, interval_text, value_text
from interlace.methods import KNOW_EXPERT

COLUMNS = ("arm", "weights", "place", "reward", "SFT loss", "lead over {}")
CAPTION = "Places are among rows of the same weights. Lead: each arm by itself."
ALL = "\nAll rows are in the report."
MOST = 12
"""Rows that are shown of each table, beside the best of each arm."""


def print_shootouts(console: Console, shootouts: Sequence[Shootout], no_shootouts: Sequence[NoShootout] = ()) -> None:
    """At equal FLOPs, the best by R - lambda L of each pair of tasks; why other recipes have no shoot-out."""
    for found in shootouts:
        if found.by == "flops":
            for table in shootout_tables(found):
                console.print(table, markup=False)
            for sentence in shootout_sentences(found, KNOW_EXPERT):
                console.print(sentence, markup=False, soft_wrap=True)
            console.print()
    for refused in no_shootouts:
        console.print(refused.sentence, markup=False, soft_wrap=True)


def shootout_tables(found: Shootout) -> Iterator[Table]:
    """The best rows of each pair of tasks, by kind of weights: places are among rows of the same."""
    for pair in found.pairs:
        rows = [row for row in found.rows if row.pair == pair]
        shown = _shown(found, rows)
        caption = CAPTION + ALL * (len(shown) < len(rows))
        table = Table(title=_title(found, pair, rows, shown), title_justify="left", title_style="bold", box=None,
                      header_style="bold", caption=caption, caption_justify="left", padding=(0, 2, 0, 0))  # fmt: skip
        for column in COLUMNS:
            table.add_column(column.format(found.against), justify="left" if column in COLUMNS[:2] else "right")
        for before, row in zip([None, *shown], shown, strict=False):
            if before and before.weights != row.weights:
                table.add_section()
            table.add_row(*_cells(row))
        yield table


def _shown(found: Shootout, rows: Sequence[ShootoutRow]) -> list[ShootoutRow]:
    """The best rows, of every arm its best, and all of the arm that the others are held against."""
    by_value = sorted(rows, key=lambda row: row.mean_value, reverse=True)
    first = {row.arm: row for row in reversed(by_value)}
    kept = {id(row) for row in (*by_value[:MOST], *first.values())}
    return [row for row in rows if id(row) in kept or row.arm == found.against]


def _title(found: Shootout, pair: Pair, rows: Sequence[ShootoutRow], shown: Sequence[ShootoutRow]) -> str:
    more = f" ({len(shown)} of {len(rows)} rows)" if len(shown) < len(rows) else ""
    return f"{rows[0].recipe}: {pair.name} at equal FLOPs, by R \u2212 {found.exchange_rate:g} L{more}"


def _cells(row: ShootoutRow) -> tuple[str, ...]:
    rank = row.rank
    place = f"{rank.value:.3g}\n{rank.lower:.3g}\u2013{rank.upper:.3g}" if isinstance(rank, Estimate) else "\u2013"
    lead = _cell(row.lead, signed=True) if isinstance(row.lead, Estimate) else "\u2013"
    return (
        "\n".join(filter(None, (row.arm, row.looked_early))),
        row.weights,
        place,
        _cell(row.reward),
        _cell(row.sft_loss),
        lead,
    )


def _cell(figure: Figure, signed: bool = False) -> str:
    if isinstance(figure, Estimate):
        return f"{value_text(figure, signed)}\n{interval_text(figure, signed)}".rstrip()
    return "not resolved"
