"""What the templates lay out: one view a run, one over all runs, one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interlace.analysis.seeds import excluded, seed_groups
from interlace.analysis.shootout import NoShootout, Shootout
from interlace.analysis.summary import PASSED, RunSummary
from interlace.estimate import OTHER_SEEDS, THIS_RECIPE, THIS_RUN
from interlace.report.coupling import arms_table
from interlace.report.headline import Card, Headline, cards, run_headline, seeds_headline
from interlace.report.instruments import StagePanel, stage_panels
from interlace.report.plots import (
    Chart,
    ForkView,
    angle_charts,
    curves_charts,
    fan_charts,
    fork_views,
    plane_charts,
    seeds_charts,
    split_charts,
)
from interlace.report.provenance import (
    Reconciliation,
    flags,
    ledger_table,
    looking_sentence,
    manifest_rows,
    recipe_text,
    reconciliations,
)
from interlace.report.samples import StageSamples, stage_samples, writing
from interlace.report.shootout import Compared, compared, standings_tables
from interlace.report.tables import (
    Table,
    landmark_table,
    parts_table,
    path_constants_table,
    points_table,
    seeds_table,
    stage_table,
)
from interlace.report.tally import tally_tables
from interlace.report.verdicts import CheckView, VerdictView, check_views, verdict_views
from interlace.store import RunRecord

Run: TypeAlias = tuple[RunRecord, RunSummary]

READING = (
    f"Scope \u201c{THIS_RUN}\u201d: the interval is over held-out prompts. It says how well these weights were "
    "measured, not what another seed would have done.",
    f"Scope \u201c{THIS_RECIPE}\u201d: the interval is over seeds. It needs several runs of one recipe.",
    f"Scope \u201c{OTHER_SEEDS}\u201d: the interval is over forks and held-out prompts. It says what the stage does "
    "from one state when its data, completions and seed are drawn anew.",
    "Changes are differences paired prompt by prompt, so their intervals are narrower than the two ends suggest.",
    "A dash is a figure that could not be had; the footnote says why. It is never a 0.",
    "Hold the pointer over a figure for its level, the number of units behind it and its estimator.",
    "HOLDS: measured as the law says. CONTRADICTS: its conditions were met and it failed. "
    "NOT RESOLVED: the intervals cannot tell. OUTSIDE ITS CONDITIONS: the law does not speak of this run.",
)

SCOPE_SEEDS = (
    "Scope: this recipe. Intervals here speak of what the recipe does when it is run again with another seed; "
    "further down, each run\u2019s own intervals speak of that run alone."
)
SCOPE_RUNS = (
    "These runs are not different seeds of one recipe, so nothing is averaged over them. Each is shown by itself "
    "further down."
)
SCOPE_TOO_FEW = "Nothing is averaged: too few seeds are left. Each run is shown by itself further down."
SCOPE_EXCLUDED = "Left out by the recipe\u2019s own rule, written down before it ran: {}."
SCOPE_ALONE = "Not averaged, because no other seed of the same recipe and stages is here, or one is here twice: {}."


SECTIONS = {
    "stages": "Stages",
    "next": "What to do next",
    "curves": "Curves",
    "plane": "Plane",
    "splits": "Where from",
    "fans": "Forecast and outcome",
    "forks": "Drift or noise",
    "table": "Table",
    "verdicts": "Verdicts",
    "instruments": "Instruments",
    "samples": "Samples",
    "recipe": "Recipe",
}
"""A run's sections in order: the end of an identifier, the entry in the contents."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run. `key` leads the identifiers of its sections."""

    key: str
    title: str
    headline: Headline
    cards: tuple[Card, ...]
    flags: tuple[tuple[str, str], ...]
    advice: tuple[str, ...]
    curves: list[Chart]
    planes: list[Chart]
    splits: list[Chart]
    fans: list[Chart]
    forks: list[ForkView]
    points: Table
    stages: Table
    landmarks: Table
    compared: tuple[Table, ...]
    landscape: Table
    verdicts: dict[str, tuple[VerdictView, ...]]
    checks: tuple[CheckView, ...]
    faults: bool
    angles: list[Chart]
    panels: tuple[StagePanel, ...]
    samples: tuple[StageSamples, ...]
    writing: tuple[str, ...]
    reconciliations: tuple[Reconciliation, ...]
    ledger: Table
    looking: str
    recipe_text: str
    manifest: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TogetherView:
    """Several runs in one plane; with tables over the seeds of each recipe that has several."""

    title: str
    scope: str
    headline: Headline
    charts: list[Chart]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page."""

    recipe: str
    subtitle: str
    headline: Headline
    contents: tuple[tuple[str, str], ...]
    together: TogetherView | None
    runs: tuple[RunView, ...]
    reading: tuple[str, ...]
    folders: str


def page_view(runs: Sequence[Run], shootouts: Sequence[Shootout] = (), no_shootouts: Sequence[NoShootout] = ()) -> Page:
    """The page of one or several runs, and the shoot-outs of their recipes, or why there is none."""
    summaries = [summary for _, summary in runs]
    held, is_one = compared(shootouts), len(runs) == 1
    views = tuple(_run_view(f"run{i}", *run, held if is_one else []) for i, run in enumerate(runs))
    together = None if is_one else _together([record for record, _ in runs], summaries, held)
    return Page(
        recipe=", ".join(dict.fromkeys(summary.recipe for summary in summaries)),
        subtitle=_subtitle(summaries),
        headline=_headline(together.headline if together else views[0].headline, held, no_shootouts),
        contents=_contents_of_many(views) if together else _contents(views[0]),
        together=together,
        runs=views,
        reading=READING,
        folders=", ".join(str(record.folder) for record, _ in runs),
    )


def _headline(whole: Headline, shootouts: Sequence[Compared], no_shootouts: Sequence[NoShootout]) -> Headline:
    """What the runs say, where there is a shoot-out that first, or why there is none."""
    said = [sentence for each in shootouts for sentence in each.sentences]
    return Headline(whole.title, (*said, *(each.sentence for each in no_shootouts), *whole.sentences))


def _subtitle(summaries: Sequence[RunSummary]) -> str:
    seeds = list(dict.fromkeys(str(summary.seed) for summary in summaries))
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"


def _together(
    records: Sequence[RunRecord], summaries: Sequence[RunSummary], shootouts: Sequence[Compared]
) -> TogetherView:
    groups = seed_groups(summaries)
    charts = [*(shootouts[0].charts if len(shootouts) == 1 else ()), *seeds_charts(summaries)]
    left_out = [f"{_title(run)} ({run.excluded})" for run in summaries if run.excluded is not None]
    said = [SCOPE_EXCLUDED.format("; ".join(left_out))] * bool(left_out)
    held = [*standings_tables(shootouts), *(table for each in shootouts for table in each.tables)]
    if not groups:
        headline = Headline(f"{len(summaries)} runs, side by side", ())
        scope = " ".join([SCOPE_TOO_FEW if left_out else SCOPE_RUNS, *said])
        return TogetherView("All runs together", scope, headline, charts, (*held, *tally_tables(summaries)))
    tables = (
        table
        for group in groups
        for table in (arms_table([*group, *excluded(summaries, group[0])]), seeds_table(group), parts_table(group))
    )
    filled = (*held, *(table for table in tables if table.rows), *tally_tables(summaries))
    averaged = {id(summary) for group in groups for summary in group}
    alone = [_title(run) for run in summaries if id(run) not in averaged and run.excluded is None]
    scope = " ".join([SCOPE_SEEDS, *said, *[SCOPE_ALONE.format("; ".join(alone))] * bool(alone)])
    return TogetherView("All seeds together", scope, seeds_headline(groups), charts, filled)


def _title(summary: RunSummary) -> str:
    return f"{summary.recipe}, seed {summary.seed}"


def _contents_of_many(views: Sequence[RunView]) -> tuple[tuple[str, str], ...]:
    runs = tuple((view.key, view.title) for view in views)
    return (("together", "All together"), *runs, ("reading", "Reading intervals"))


def _contents(view: RunView) -> tuple[tuple[str, str], ...]:
    shown_if = {
        "next": view.advice,
        "fans": view.fans,
        "forks": view.forks,
        "instruments": view.panels,
        "samples": view.samples,
    }
    shown = tuple((f"{view.key}-{name}", title) for name, title in SECTIONS.items() if shown_if.get(name, True))
    return (*shown, ("reading", "Reading intervals"))


def _run_view(key: str, record: RunRecord, summary: RunSummary, shootouts: Sequence[Compared]) -> RunView:
    return RunView(
        key=key,
        title=_title(summary),
        headline=run_headline(summary),
        cards=cards(summary),
        flags=flags(record),
        advice=summary.advice,
        curves=curves_charts(summary),
        planes=[*(chart for each in shootouts for chart in each.charts), *plane_charts(summary)],
        splits=split_charts(summary),
        fans=fan_charts(record),
        forks=fork_views(summary),
        points=points_table(summary),
        stages=stage_table(summary),
        landmarks=landmark_table(summary),
        compared=tuple(table for each in shootouts for table in each.tables),
        landscape=path_constants_table(summary),
        verdicts=verdict_views(summary),
        checks=check_views(summary),
        faults=any(check.verdict != PASSED for stage in summary.stages for check in stage.self_checks),
        angles=angle_charts(record, summary),
        panels=stage_panels(record),
        samples=stage_samples(record),
        writing=writing(record),
        reconciliations=reconciliations(record),
        ledger=ledger_table(record),
        looking=looking_sentence(record),
        recipe_text=recipe_text(record),
        manifest=manifest_rows(record),
    )
