"""The tally of verdicts on the page: a row a law, counted over every stage of every run that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import RunSummary
from interlace.analysis.tally import CHECKS, VERDICTS, TallyRow, verdict_tally
from interlace.report.formatting import Cell, weights_name
from interlace.report.tables import Table, words
from interlace.theory.laws import LAWS
from interlace.wording import counted

SIGNS = ("A4", "A5", "A8")
IDENTITIES = (
    "A4, A5 and A8 follow from identities (A10, A9) once their condition holds as measured, so what can be learned "
    "from them is how often it does: HOLDS counts that, OUTSIDE ITS CONDITIONS the other cases, and CONTRADICTS would "
    "mean figures that disagree with each other. B3 can fail on correct figures."
)
"""What the counts of sign laws mean (C8)."""


def tally_tables(summaries: Sequence[RunSummary]) -> list[Table]:
    """Verdicts, then self-checks; neither where there is nothing to count."""
    rows = verdict_tally(summaries)
    over = f"over {counted(len(summaries), 'run')}"
    tables = (
        _table(f"Verdicts {over}, by law", [row for row in rows if not row.is_check], VERDICTS),
        _table(f"Self-checks {over}", [row for row in rows if row.is_check], CHECKS),
    )
    return [table for table in tables if table.rows]


def _table(name: str, rows: Sequence[TallyRow], verdicts: Sequence[str]) -> Table:
    columns = ("Law", "Weights", *(verdict.capitalize() for verdict in verdicts), "Readings")
    remark = IDENTITIES if any(row.law in SIGNS for row in rows) else ""
    return Table(name, columns, tuple(_cells(row, verdicts) for row in rows), 2, remark=remark)


def _cells(row: TallyRow, verdicts: Sequence[str]) -> tuple[Cell, ...]:
    law = LAWS.get(row.law)
    lead = Cell(row.law, interval=law.name if law else "", tone="stage")
    counts = (row.counts[verdict] for verdict in verdicts)
    return (lead, *words(weights_name(row.weights)), *(Cell(f"{count:,}") for count in (*counts, row.total)))
