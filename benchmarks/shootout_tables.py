"""What the tables of a shoot-out are made of: the runs that have begun to mix and their arms, and figures in cells; and
how a script ends on a user's mistake."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlace.analysis.shootout.arms import Arm, arms_of
from interlace.analysis.shootout.missing import begun_and_not
from interlace.errors import InterlaceError
from interlace.estimate import Figure, Unresolved, figure_text
from interlace.readback import kept_runs
from interlace.report.formatting import Notes
from interlace.store import RunRecord


def says_mistakes(main: Callable[[], None]) -> Callable[[], None]:
    """A script that ends on a user's mistake with its sentence on stderr and exit status 2, as a wrong option does."""

    @functools.wraps(main)
    def said() -> None:
        try:
            main()
        except InterlaceError as error:
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(2)

    return said


def contest_of(*runs: str) -> tuple[list[RunRecord], Sequence[Arm]]:
    """Those that a shoot-out compares; the others are said on stderr."""
    kept, waiting = begun_and_not(kept_runs(*runs))
    for name, reason in waiting.items():
        print(f"{name} is left out: {reason}.", file=sys.stderr)
    return kept, arms_of(kept).arms


def cell(figure: Figure, notes: Notes, *, signed: bool = False) -> str:
    """A figure with its interval, or the number of the reason why it is not told."""
    if isinstance(figure, Unresolved):
        return f"not told ({notes.mark(figure.reason)})"
    return figure_text(figure, signed=signed, unit=False)


def with_reasons(table: Table, notes: Notes, *remarks: str) -> Table:
    """The table over its remarks and the reasons of its cells, each once."""
    reasons = [f"{number}. {reason}" for number, reason in enumerate(notes.reasons, 1)]
    table.caption, table.caption_justify = Text("\n".join([*remarks, *reasons])), "left"
    return table


def of_rich(table: Table, name: str) -> str:
    """A table as Markdown, under its name."""
    title, table.title, table.box = table.title, None, box.MARKDOWN
    caption, table.caption = table.caption, None
    page = io.StringIO()
    Console(file=page, width=100_000).print(table, markup=False, highlight=False)
    lines = [line.rstrip() for line in page.getvalue().splitlines() if line.strip()]
    head = f"### {name}" + (f", {title}" if title else "")
    return "\n\n".join(part for part in (head, "\n".join(lines), str(caption or "")) if part)
