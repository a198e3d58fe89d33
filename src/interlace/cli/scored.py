"""Judged forecasts in the terminal: all of a kind together, then one by one."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from interlace.analysis.forecast_scores import LEAST_FOR_A_MEDIAN, ForecastScores, ForecastTally, ScoredForecast
from interlace.estimate import Figure, Unresolved, interval_text, value_text
from interlace.wording import number

READING = (
    "end of stage: SFT loss at the stage's last step; given reward: the same, told the reward that came; made at: the "
    "share of the stage that was done.",
    "Error: |forecast - truth| over the range that SFT loss had in the stage; its median has an interval from "
    f"{LEAST_FOR_A_MEDIAN} stages on. Bias: the mean of forecast - truth over that range, above 0 is too high. "
    "Covered: the share of the 95 % intervals that held what came.",
    "Skill: 1 - interval score / that of the baseline, over the stages where the baseline could speak; above 0 is "
    "better than it, - where it could nowhere. Baselines knew the same looks; those in reward and in KL were told the "
    "reward and the KL that came.",
)
"""How to read the tables."""
GROUP = "forecast", "weights", "made at"


def print_scores(console: Console, found: ForecastScores) -> None:
    """The tables, and how to read them."""
    console.print(_together(found.tallies))
    console.print(_skills(found.tallies))
    console.print(_singly(found.forecasts))
    for sentence in READING:
        console.print(sentence, style="dim", markup=False)
    for folder, reason in found.silent.items():
        console.print(f"Left out: {folder}: {reason}.", markup=False, soft_wrap=True)


def _together(tallies: tuple[ForecastTally, ...]) -> Table:
    table = _table("SFT loss as runs forecast it", *GROUP, "stages", "median error", "bias", "covered")
    for tally in tallies:
        figures = (_cell(each) for each in (tally.relative_error, tally.bias, tally.coverage))
        table.add_row(*_group(tally), str(tally.num_stages), *figures)
    return table


def _skills(tallies: tuple[ForecastTally, ...]) -> Table:
    table = _table("Skill against baselines", *GROUP, *tallies[0].skill)
    for tally in tallies:
        table.add_row(*_group(tally), *(_skill(value) for value in tally.skill.values()))
    return table


def _group(tally: ForecastTally) -> tuple[str, str, str]:
    return tally.kind, tally.weights, f"{tally.share:.0%}"


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
        return "[dim]-[/dim]"
    return f"{value_text(figure)}\n[dim]{escape(interval_text(figure))}[/dim]"


def _skill(value: float) -> str:
    return "[dim]-[/dim]" if math.isnan(value) else number(value, 2, signed=True)
