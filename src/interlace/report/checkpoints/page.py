"""The page of measured checkpoints: which to keep and why, the plane, every figure and difference, the line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plotly.offline import get_plotlyjs

from interlace import __version__
from interlace.checkpoints import Measured
from interlace.report.checkpoints.chart import plane_charts
from interlace.report.checkpoints.tables import differences_table, levels_table, line_tables, probe_tables
from interlace.report.page import asset, content_policy, environment, write_whole


def write_checkpoints_page(measured: Measured, path: Path) -> Path:
    """Write one self-contained HTML page about `measured`, atomically. Returns `path`."""
    return write_whole(render_checkpoints(measured), path)


def render_checkpoints(measured: Measured) -> str:
    """The page's HTML; figures are drawn as they come."""
    plotly, script = get_plotlyjs(), asset("charts.js")
    names = [checkpoint.name for checkpoint in measured.checkpoints]
    levels = levels_table("Every checkpoint", "Checkpoint", names, measured.cells)
    tables = [replace(levels, remark=" ".join(measured.on_format))]
    if measured.differences:
        tables.append(differences_table("Differences, paired on the same prompts", measured.differences))
    return (
        environment()
        .get_template("checkpoints/checkpoints.html.j2")
        .render(
            measured=measured,
            choice=measured.recommendation,
            charts=plane_charts(measured),
            tables=tables,
            line_tables=line_tables(measured),
            probe_tables=probe_tables(measured),
            policy=content_policy((plotly, script)),
            version=__version__,
            style=asset("style.css"),
            plotly=plotly,
            script=script,
        )
    )
