"""The page of a plan: what RL would cost, where to stop, what no method escapes."""

from __future__ import annotations

from pathlib import Path

from plotly.offline import get_plotlyjs

from interlace import __version__
from interlace.estimate import Unresolved
from interlace.forecasting import Preflight
from interlace.forecasting.notes import PLAN_WITHOUT_PATHS
from interlace.planning import Plan
from interlace.planning.words import ASSUMED
from interlace.report.page import asset, content_policy, environment, write_whole
from interlace.report.planning.chart import plane_chart, price_chart
from interlace.report.planning.tables import costs_table, curve_tables, facts_table, landmarks_table, steps_tables


def write_plan_page(plan: Plan, path: Path) -> Path:
    """Write one self-contained HTML page about `plan`, atomically. Returns `path`."""
    return write_whole(render_plan(plan), path)


def render_plan(plan: Plan) -> str:
    """The page's HTML; figures are drawn as they come."""
    plotly, script = get_plotlyjs(), asset("charts.js")
    return (
        environment()
        .get_template("planning/plan.html.j2")
        .render(
            plan=plan,
            sections=[_section(number, found) for number, found in enumerate(_spoken(plan))],
            mute=[(task, found.reason) for task, found in plan.forecasts.items() if isinstance(found, Unresolved)],
            costs=costs_table(plan) if plan.costs else None,
            steps=steps_tables(plan),
            assumed=ASSUMED,
            policy=content_policy((plotly, script)),
            version=__version__,
            style=asset("style.css"),
            plotly=plotly,
            script=script,
        )
    )


def _spoken(plan: Plan) -> list[Preflight]:
    return [found for found in plan.forecasts.values() if not isinstance(found, Unresolved)]


def _section(number: int, found: Preflight) -> dict[str, object]:
    return {
        "task": found.task,
        "charts": [plane_chart(found, number), price_chart(found, number)] if found.forecasts else [],
        "facts": facts_table(found),
        "landmarks": landmarks_table(found),
        "curves": curve_tables(found),
        "silent": found.silent,
        "perfect": found.is_perfect_expert,
        "without_paths": "" if found.forecasts else PLAN_WITHOUT_PATHS,
    }
