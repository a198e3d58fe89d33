"""`interlace run --dry-run`: what the run would do, how long it would take here and how much disk."""

from __future__ import annotations

from rich.table import Table

from interlace.analysis import SCHEMA_VERSION
from interlace.cli.output import print_json, stderr, stdout
from interlace.dry_run import DryRun, PlannedForks
from interlace.report.formatting import compact
from interlace.store.run_store import RESOLVED
from interlace.wording import counted, duration, size

SPENT = "FLOPs: of training, a parameter; ~: more or less, it depends on what training sees."
EVEN = (
    " Equal: the steps with which an arm (stages one after the other) would take what the others from its start take."
)


def print_plan(plan: DryRun, json: bool) -> None:
    """The plan on stdout, as a table or as JSON, and where the resolved recipe is, or would be, on stderr."""
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "plan": plan})
    else:
        stdout().print(plan_table(plan))
        for line in (*plan.notes, _totals(plan)):
            stdout().print(line, markup=False, soft_wrap=True)
    would_be = [f"{folder}/{RESOLVED} (not written: runs lie there)" for folder in plan.folders]
    for place in plan.resolved or would_be:
        stderr().print(f"Resolved recipe: {place}", markup=False, soft_wrap=True)


def plan_table(plan: DryRun) -> Table:
    """A row a stage: what it starts from, its steps, FLOPs a parameter, time and disk; its forks under it. Where arms
    share a start, the steps with which each would take as much as the others."""
    table = Table(title=f"{plan.recipe}: plan", title_justify="left", title_style="bold", box=None, header_style="bold",
                  padding=(0, 1, 0, 0))  # fmt: skip
    are_compared = any(stage.even_steps is not None for stage in plan.stages)
    figures = ("steps", "FLOPs", *(["equal"] if are_compared else []), "time", "disk")
    for column in ("stage", "kind", "task", "starts from", *figures):
        table.add_column(column, justify="right" if column in figures else "left", no_wrap=column == "stage")
    table.caption, table.caption_justify = f"{SPENT}{EVEN if are_compared else ''}", "left"
    for stage in plan.stages:
        few = f"\n  {stage.num_seeds} of {len(plan.folders)} seeds" * (stage.num_seeds < len(plan.folders))
        cells = (stage.stage + few, stage.method or stage.kind, stage.task, stage.start_from, str(stage.steps))
        even = ["" if stage.even_steps is None else str(stage.even_steps)] if are_compared else []
        spent = compact(stage.compute) if stage.compute else ""
        sign = "~" if stage.is_open else ""
        table.add_row(*cells, sign + spent, *(sign + each for each in even), duration(stage.seconds),
                      size(stage.disk_bytes))  # fmt: skip
        if stage.forks is not None:
            table.add_row(*_fork_cells(stage.forks, len(even)))
    return table


def _fork_cells(forks: PlannedForks, num_even: int) -> tuple[str, ...]:
    """What forks add under their stage's row; their disk is free again when they are done."""
    made = f"{forks.count} in {counted(forks.arms, 'arm')}"
    spent = ("",) * (1 + num_even)
    return ("  its forks", made, "", "", str(forks.steps), *spent, duration(forks.seconds), size(forks.disk_bytes))


def _totals(plan: DryRun) -> str:
    seeds = f"{len(plan.folders)} seeds" if len(plan.folders) > 1 else "one seed"
    if plan.num_parameters is None:
        return f"model {plan.model}; {seeds}"
    return (
        f"model {plan.model}, {plan.num_parameters:,} parameters; {seeds}: about {duration(plan.seconds)} here "
        f"(roughly: within a factor of two or three), {size(plan.disk_bytes)} of disk"
    )
