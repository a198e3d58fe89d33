"""Judged forecasts in the terminal: a line a stage; if asked for, all of a kind together and one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from interlace.analysis.forecast_scores import (
    LEAST_RUNS,
    OUTRIGHT,
    ForecastScores,
    ForecastTally,
    ScoredForecast,
)
from interlace.estimate import Figure, Unresolved, interval_text, value_text
from interlace.wording import number

READING = (
    "At the end: SFT loss at the stage's last step; at the reward that came: the same, told the reward that the stage "
    "ended with, all that can be said before its first step. Made at: the share of the stage that was done.",
    "Error: |forecast - truth| over the range that SFT loss had in the stage, the median. Bias: the mean of forecast - "
    "truth over that range, above 0 is too high. Covered: the share of the 95 % intervals that held what came. "
    f"Intervals are over runs, from {LEAST_RUNS} on: stages of one run share their start and their prompts.",
    "Skill: 1 - interval score / that of the baseline, over the stages where the baseline could speak; above 0 is "
    "better than it, - where it could nowhere. Baselines knew the same looks, which early in a stage leaves a line one "
    "degree of freedom and a wide interval; those in reward and in KL were told the reward and the KL that came; the "
    "pilot run is a fifth of the same stage with another seed, told the reward too.",
)
"""How to read the tables."""
SHORT = (
    "The largest error over all runs, as a share of the range that SFT loss had in the stage, and how many of the 95 % "
    "intervals held what came; by the share of the stage after which it was forecast. --all shows every forecast, bias "
    "and skill against baselines; --json has all of it."
)
"""How to read the short table."""
AGAIN = "Forecasts made again by this version from the looks that each could know, not those that the runs kept."
GROUP = "recipe", "forecast", "weights", "made at"


def print_scores(console: Console, found: ForecastScores, is_whole: bool = False) -> None:
    """A line a stage, or with `is_whole` (or where no end of a stage was forecast) every table; how to read them."""
    is_whole = is_whole or all(each.kind != OUTRIGHT for each in found.forecasts)
    for table in _whole(found) if is_whole else (_short(found.forecasts),):
        console.print(table)
    if found.again:
        console.print(AGAIN, style="dim")
    for sentence in READING if is_whole else (SHORT,):
        console.print(sentence, style="dim", markup=False)
    for folder, reason in found.silent.items():
        console.print(f"Left out: {folder}: {reason}.", markup=False, soft_wrap=True)


def _whole(found: ForecastScores) -> Iterator[Table]:
    yield _together(found.tallies)
    yield _skills(found.tallies)
    yield _singly(found.forecasts)


def _short(forecasts: tuple[ScoredForecast, ...]) -> Table:
    """What was forecast of SFT loss at the end of each stage, a line a stage, task and kind of weights."""
    outright = [each for each in forecasts if each.kind == OUTRIGHT]
    shares = sorted({each.share for each in outright})
    titles = ("task", "weights", "runs", *(f"made at {share:.0%}" for share in shares))
    table = _table("SFT loss at the end of the stage, as runs forecast it", "stage", *titles)
    lines: dict[tuple[str, ...], list[ScoredForecast]] = {}
    for each in outright:
        lines.setdefault((f"{each.stage} of {each.recipe}", each.task, each.weights), []).append(each)
    for names, group in lines.items():
        judged = ([each for each in group if each.share == share] for share in shares)
        table.add_row(*map(escape, names), str(len({each.run for each in group})), *map(_judged, judged))
    return table


def _judged(group: Sequence[ScoredForecast]) -> str:
    """``within 12 %, 3 of 4 held``."""
    if not group:
        return "[dim]-[/dim]"
    held = sum(each.score.is_covered for each in group)
    error = max(each.score.relative_error for each in group)
    words = f"within {error:.0%}" if math.isfinite(error) else "no movement"
    return f"{words}\n[dim]{held} of {len(group)} held[/dim]"


def _together(tallies: tuple[ForecastTally, ...]) -> Table:
    table = _table("SFT loss as runs forecast it", *GROUP, "stages (runs)", "median error", "bias", "covered")
    for tally in tallies:
        figures = (_cell(each) for each in (tally.relative_error, tally.bias, tally.coverage))
        table.add_row(*_group(tally), f"{tally.num_stages} ({tally.num_runs})", *figures)
    return table


def _skills(tallies: tuple[ForecastTally, ...]) -> Table:
    table = _table("Skill against baselines", *GROUP, *tallies[0].skill)
    for tally in tallies:
        table.add_row(*_group(tally), *(_cell(figure) for figure in tally.skill.values()))
    return table


def _group(tally: ForecastTally) -> tuple[str, str, str, str]:
    return escape(tally.recipe or "all"), tally.kind, tally.weights, f"{tally.share:.0%}"


def _singly(forecasts: tuple[ScoredForecast, ...]) -> Table:
    table = _table("One by one", "stage", "forecast", "made at", "forecast SFT loss", "came", "error")
    for each in forecasts:
        came = number(each.score.truth, 3) + ("" if each.score.is_covered else "\n[red]outside[/red]")
        table.add_row(
            f"{escape(each.stage)} of {escape(each.recipe)}\n[dim]{escape(each.task)}, {each.weights} weights[/dim]",
            each.kind, f"{each.share:.0%}", _cell(each.score.forecast), came, _error(each),
        )  # fmt: skip
    return table


def _error(each: ScoredForecast) -> str:
    error = each.score.relative_error
    return f"{error:.0%}" if math.isfinite(error) else "[dim]SFT loss did not move[/dim]"


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table


def _cell(figure: Figure) -> str:
    """The value, its interval below it."""
    if isinstance(figure, Unresolved):
        value, runs, _ = figure.reason.partition(" over ")
        return f"{value}\n[dim]few runs[/dim]" if runs else "[dim]-[/dim]"
    return f"{value_text(figure)}\n[dim]{escape(interval_text(figure))}[/dim]"
