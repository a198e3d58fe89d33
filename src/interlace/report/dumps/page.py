"""The page of a plan from rollouts: the sentences, the figure, every point, SFT loss as read, conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from interlace import __version__
from interlace.dumps import RolloutPlan
from interlace.estimate import Unresolved
from interlace.report.dumps.chart import rollouts_chart
from interlace.report.formatting import Notes
from interlace.report.page import asset, content_policy, environment, write_whole
from interlace.report.tables import Table, words

POINT_COLUMNS = {
    "reward": ("Reward, as sampled", False),
    "reward_curve": ("on the curve", False),
    "reward_variance": ("Variance within prompts, as sampled", False),
    "dead_groups": ("Dead groups", False),
    "parity_gap": ("Curve above the expert", True),
    "rl_time": ("RL time", False),
    "sft_loss_change": ("Forecast change of SFT loss, nats/response", True),
    "tilt": ("Tilt part (A10), nats/response", True),
    "implied_exchange_rate": ("Reward that the next nat buys", False),
}
LOSS_COLUMNS = {
    "sft_loss": ("SFT loss, nats/response", False),
    "sft_loss_per_token": ("per token, nats/token", False),
    "change": ("Change", True),
    "right": ("on right responses", True),
    "wrong": ("on wrong responses", True),
    "tilt": ("Tilt part (A10)", True),
    "off_path": ("Off-path part (A10)", True),
    "rl_time": ("RL time of that tilt", False),
    "forecast": ("Forecast (C7)", True),
    "beyond": ("Beyond the forecast", True),
}
"""Field of a row: the column's title, whether it has a sign."""


def write_rollouts_page(plan: RolloutPlan, path: Path) -> Path:
    """Write one self-contained HTML page about `plan`, atomically. Returns `path`."""
    return write_whole(render_rollouts(plan), path)


def render_rollouts(plan: RolloutPlan) -> str:
    """The page's HTML; figures are drawn as they come."""
    plotly, script = get_plotlyjs(), asset("charts.js")
    template = environment().get_template("dumps/rollouts.html.j2")
    return template.render(
        plan=plan,
        headline=_headline(plan),
        chart=rollouts_chart(plan),
        tables=_tables(plan),
        policy=content_policy((plotly, script)),
        version=__version__,
        style=asset("style.css"),
        plotly=plotly,
        script=script,
    )


def _headline(plan: RolloutPlan) -> str:
    """Where reward stands to the expert's, or where the expert's is not known, how it went."""
    about = 0 if isinstance(plan.expert_reward, Unresolved) else 1
    return plan.advice[about].partition(":")[0].rstrip(".")


def _tables(plan: RolloutPlan) -> list[Table]:
    points: list[tuple[Any, ...]] = [(point.name, f"{point.num_prompts:,}", point) for point in plan.points]
    tables = [_table("Every point", ("Step", "Prompts"), points, POINT_COLUMNS)]
    if plan.losses:
        read: list[tuple[Any, ...]] = [(f"step {point.step:,}", point) for point in plan.losses]
        tables.append(_table("SFT loss as read", ("Step",), read, LOSS_COLUMNS))
    return tables


def _table(
    name: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]], columns: dict[str, tuple[str, bool]]
) -> Table:
    notes = Notes()
    cells = [
        (*words(*texts), *(notes.figure(getattr(item, field), signed) for field, (_, signed) in columns.items()))
        for *texts, item in rows
    ]
    titles = (*heads, *(title for title, _ in columns.values()))
    return Table(name, titles, tuple(cells), len(heads), tuple(notes.reasons))
