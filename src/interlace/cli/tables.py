"""The summary in the terminal: a table a run, what each stage did in words, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from interlace.analysis import ObjectiveChangeAcrossSeeds, RunSummary, StageSummary, across_seeds, result_json
from interlace.analysis.summary import AT_FAULT
from interlace.cli.output import print_json, stderr, stdout
from interlace.cli.shootout import print_shootouts
from interlace.estimate import Figure, Unresolved, interval_text, value_text
from interlace.measurement import RAW
from interlace.readback import Outcome
from interlace.report.formatting import objective_name

ARROW = "\u2192"


def print_outcome(outcome: Outcome, json: bool) -> None:
    """The summary on stdout, as tables or as JSON, and where the report is on stderr."""
    if json:
        print_json(result_json(outcome.summaries, outcome.shootouts, outcome.no_shootouts))
    else:
        print_summaries(stdout(), outcome.summaries)
        print_shootouts(stdout(), outcome.shootouts, outcome.no_shootouts)
    stderr().print(f"Report: {outcome.report}", soft_wrap=True, markup=False)


def print_summaries(console: Console, summaries: Sequence[RunSummary]) -> None:
    """One run in full; of several, each in its table and then, for each recipe, the table over its seeds."""
    for summary in summaries:
        console.print(run_table(summary), markup=False)
        for sentence in _sentences(summary):
            console.print(sentence, markup=False, soft_wrap=True)
        console.print()
    for summary in summaries:
        if summary.excluded is not None:
            said = f"Left out of figures over seeds by {summary.recipe}'s own rule: seed {summary.seed}"
            console.print(f"{said} ({summary.excluded}).", markup=False, soft_wrap=True)
    over_seeds = across_seeds(list(summaries))
    for recipe in dict.fromkeys(row.recipe for row in over_seeds):
        console.print(seeds_table(recipe, [row for row in over_seeds if row.recipe == recipe]), markup=False)


def run_table(summary: RunSummary) -> Table:
    """A row a stage: steps, reward, the change of SFT loss (nats/response) and its two parts (A11), verdicts."""
    table = _table(f"{summary.recipe}, seed {summary.seed} (SFT loss in nats/response)")
    for column in (
        "stage",
        "steps",
        "reward",
        "change of\nSFT loss",
        "on right\nresponses",
        "on wrong\nresponses",
        "verdicts",
    ):
        table.add_column(column, justify="left" if column in ("stage", "verdicts") else "right")
    for stage in summary.stages:
        table.add_row(*_row(stage))
    return table


def _row(stage: StageSummary) -> tuple[str, ...]:
    split = stage.split.get(stage.ends_with)
    missing = Unresolved("not measured")
    right, wrong = (split.right, split.wrong) if split else (missing, missing)
    reward = f"{_value(stage.reward.before)} {ARROW} {_value(stage.reward.after)}"
    steps = (
        str(stage.steps_done)
        if stage.steps_done == stage.steps_planned
        else f"{stage.steps_done}/{stage.steps_planned}"
    )
    verdicts = "\n".join(f"{item.law} {item.verdict}" for item in stage.verdicts if item.weights == RAW)
    still = stage.stopped is not None and stage.stopped.rewound_to == 0
    changes = ("none" if still else _cell(figure) for figure in (stage.sft_loss.change, right, wrong))
    return (f"{stage.name}\n{stage.ending}".rstrip(), steps, reward, *changes, verdicts)


def _sentences(summary: RunSummary) -> list[str]:
    stages = [f"{stage.name}: {stage.sentence}" for stage in summary.stages]
    faults = [
        f"{c.law} {c.verdict}: {c.sentence}" for s in summary.stages for c in s.self_checks if c.verdict == AT_FAULT
    ]
    flags = [f"{stage.name}: {flag}" for stage in summary.stages for flag in stage.flags]
    advice = [f"Next: {sentence}" for sentence in summary.advice]
    return [*stages, *faults, *flags, *advice]


def seeds_table(recipe: str, rows: Sequence[ObjectiveChangeAcrossSeeds]) -> Table:
    """Means over a recipe's seeds of SFT loss and reward, with intervals over seeds; of which task, if of several."""
    table = _table(f"{recipe} across seeds")
    several = len({row.task for row in rows}) > 1
    words = ("stage", *["task"] * several, "objective", "weights")
    for column in (*words, "before", "after", "change"):
        table.add_column(column, justify="left" if column in words else "right")
    for row in rows:
        if row.objective in ("sft_loss", "reward"):
            heads = (row.stage, *[row.task] * several, objective_name(row.objective), row.weights)
            table.add_row(*heads, _cell(row.before, signed=False), _cell(row.after, signed=False), _cell(row.change))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )


def _cell(figure: Figure, signed: bool = True) -> str:
    """A change with its sign, or a level without one; its interval under it."""
    if isinstance(figure, Unresolved):
        return "not resolved"
    return f"{value_text(figure, signed)}\n{interval_text(figure, signed)}".rstrip()


def _value(figure: Figure) -> str:
    return "not resolved" if isinstance(figure, Unresolved) else value_text(figure)
