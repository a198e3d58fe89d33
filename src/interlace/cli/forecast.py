"""A plan from a checkpoint in the terminal: where each path model turns, then what the plan says."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from interlace.estimate import Figure, Unresolved, interval_text, value_text
from interlace.forecasting import Preflight
from interlace.planning import Plan
from interlace.wording import number

SHOWN = (0.25, 0.5, 0.75)
"""Shares of what a path can gain at which its cost is shown."""


def print_forecast(console: Console, plan: Plan) -> None:
    """Everything a reader needs first; whole curves are in JSON and HTML."""
    for found in plan.forecasts.values():
        if not isinstance(found, Unresolved) and found.forecasts:
            console.print(_table(found))
    for sentence in plan.sentences():
        console.print(f"- {sentence}", markup=False, soft_wrap=True)


def _table(found: Preflight) -> Table:
    """A row a path model and share of its gain: reward, what SFT loss has changed by, the implied exchange rate."""
    title = f"{found.task}: SFT loss if RL moves as ..."
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold")
    table.add_column("path model", no_wrap=True)
    for column in (
        "reward",
        "change of SFT loss",
        "on right responses",
        "on wrong ones",
        "reward that a nat must be worth",
    ):
        table.add_column(column, justify="right")
    for forecast in found.forecasts:
        for share in SHOWN:
            point = forecast.curve[round(share * (len(forecast.curve) - 1))]
            changes = (_cell(each, signed=True) for each in (point.sft_loss_change, point.right, point.wrong))
            name = forecast.path_model if share == SHOWN[0] else ""
            table.add_row(name, number(point.reward, 3), *changes, _cell(point.implied_exchange_rate))
    return table


def _cell(figure: Figure, signed: bool = False) -> str:
    """The value, its interval below it."""
    if isinstance(figure, Unresolved):
        return "[dim]-[/dim]"
    return f"{value_text(figure, signed)}\n[dim]{escape(interval_text(figure, signed))}[/dim]"
