"""What forks say, in the terminal: the parts of a stage's change, and diffusion against the forks' length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from interlace.analysis.fork_words import fork_remarks
from interlace.analysis.summary import SCHEMA_VERSION, ForkSummary
from interlace.cli.output import print_json, stdout
from interlace.estimate import Figure, Unresolved, figure_text
from interlace.wording import counted

if TYPE_CHECKING:
    from interlace.forking import ForkCost

PART_NAMES = {
    "drift": "drift",
    "drift_by_reward": "  by the reward",
    "reward_free_drift": "  reward-free",
    "diffusion": "diffusion",
    "unresolved": "the rest",
}
"""Every part of C10 after the change, in the order in which they add up."""


def print_forks(summary: ForkSummary, json: bool) -> None:
    """The parts on stdout, as tables or as JSON."""
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "forks": summary})
        return
    console = stdout()
    console.print(parts_table(summary), markup=False)
    console.print(lengths_table(summary), markup=False)
    for sentence in (*summary.conclusions, *fork_remarks(summary)):
        console.print(sentence, markup=False, soft_wrap=True)


def print_plan(plan: ForkCost, json: bool) -> None:
    """What forks would take, on stdout, as sentences or as JSON."""
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "plan": plan})
        return
    for sentence in plan.sentences:
        stdout().print(sentence, markup=False, soft_wrap=True)


def parts_table(summary: ForkSummary) -> Table:
    """A row a part, a column an objective."""
    length = f"{counted(summary.steps, 'step')} from step {summary.from_step}"
    table = _table(f"{counted(summary.count, 'fork')} of {length}, of the stage's {summary.stage_steps:,}")
    table.add_column("part")
    for name in summary.parts:
        table.add_column(name.replace("sft_loss", "SFT loss"), justify="right")
    for part, text in {"change": f"change of {summary.change_words}", **PART_NAMES}.items():
        if any(part in parts for parts in summary.parts.values()):
            table.add_row(text, *(_cell(parts.get(part)) for parts in summary.parts.values()))
    return table


def lengths_table(summary: ForkSummary) -> Table:
    """Drift and diffusion of SFT loss against the forks' length."""
    table = _table("SFT loss against the length of the forks (nats/response)")
    for column in ("steps", "drift", "diffusion"):
        table.add_column(column, justify="right")
    for length in summary.lengths:
        table.add_row(str(length.steps), _cell(length.drift), _cell(length.diffusion))
    return table


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return "not resolved" if isinstance(figure, Unresolved) else figure_text(figure, signed=True, unit=False)


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
