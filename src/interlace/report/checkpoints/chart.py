"""The (reward, SFT loss) plane of checkpoints: each with both intervals, and the straight line between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interlace.checkpoints import Cell, Measured
from interlace.estimate import Figure, Unresolved
from interlace.report.formatting import shorten
from interlace.report.plots.base import Chart, Key, Spec, crosses, drawable, label, line, plot_text, tips, value_of
from interlace.report.plots.plane import NARROW, plane_layout

KEPT, OTHER, LINE = "rl", "sft", "line"
"""Colours: of the Pareto set, of the rest, of the straight line."""

Pairs = Mapping[str, tuple[Figure, Figure]]
"""By name: reward and SFT loss."""


def plane_charts(measured: Measured) -> list[Chart]:
    """One figure a task on which both objectives were measured."""
    charts = [_chart(measured, number, task) for number, task in enumerate(measured.tasks)]
    return [chart for chart in charts if chart.data]


def _chart(measured: Measured, number: int, task: str) -> Chart:
    points = _pairs(measured.cells, task)
    blends = {} if measured.line is None else _pairs(measured.line.cells, task)
    everything = [*points.values(), *blends.values()]
    rewards, losses = ([figure for pair in everything if (figure := pair[i])] for i in (0, 1))
    names = [_name(name, pair) for name, pair in points.items()]
    return Chart(
        name=f"plane-{number}",
        title=f"On {task}" if len(measured.tasks) > 1 else "Reward against SFT loss",
        description=f"SFT loss against reward on {task}: every checkpoint with its intervals.",
        data=[*_line_traces(blends), *_checkpoint_traces(points, measured.pareto)] if points else [],
        layout=plane_layout(_ends(rewards), _ends(losses), names, None),
        narrow=NARROW,
        keys=_keys(points, blends, measured.pareto),
    )


def _pairs(cells: Sequence[Cell], task: str) -> dict[str, tuple[Figure, Figure]]:
    """Reward and SFT loss of everything that has both, finite."""
    found = {(cell.checkpoint, cell.objective): cell.figure for cell in cells if cell.task == task}
    names = dict.fromkeys(cell.checkpoint for cell in cells)
    missing = Unresolved("not measured")
    pairs = {name: (found.get((name, "reward"), missing), found.get((name, "sft_loss"), missing)) for name in names}
    return {name: pair for name, pair in pairs.items() if all(map(drawable, pair))}


def _checkpoint_traces(points: Pairs, pareto: Sequence[str]) -> list[Spec]:
    """Crosses of intervals, the Pareto set's filled."""
    traces = []
    for name, (reward, loss) in points.items():
        colour = f"@{KEPT if name in pareto else OTHER}"
        fill = colour if name in pareto else "@paper"
        trace = crosses([reward], [loss], colour, size=10, color=fill, line={"color": colour, "width": 2.4})
        words = tips(plot_text(name), (("reward", reward), ("SFT loss", loss)))
        traces.append(trace | {"hoverinfo": "text", "hovertext": [words]})
    return traces


def _line_traces(blends: Pairs) -> list[Spec]:
    if not blends:
        return []
    x, y = ([value_of(pair[i]) for pair in blends.values()] for i in (0, 1))
    hover = [tips(f"position {name}", (("reward", r), ("SFT loss", loss))) for name, (r, loss) in blends.items()]
    marker = {"color": f"@{LINE}", "size": 6, "symbol": "square-open"}
    return [line(x, y, f"@{LINE}", dash="dot", mode="lines+markers", marker=marker, hovertext=hover)]


def _name(name: str, pair: tuple[Figure, Figure]) -> Spec:
    reward, loss = map(value_of, pair)
    assert reward is not None and loss is not None
    side: Spec = {"xanchor": "left", "xshift": 9, "yanchor": "bottom", "yshift": 4}
    return label(reward, loss, plot_text(shorten(name)), **side)


def _ends(figures: Sequence[Figure]) -> list[float]:
    """What the axis must hold: both ends of every interval."""
    return [end for figure in figures if not isinstance(figure, Unresolved) for end in (figure.lower, figure.upper)]


def _keys(points: Pairs, blends: Pairs, pareto: Sequence[str]) -> tuple[Key, ...]:
    keys = [Key("in the Pareto set", KEPT)]
    if any(name not in pareto for name in points):
        keys.append(Key("another is better in both, or equal", OTHER))
    return (*keys, *([Key("straight line between the two", LINE, "dotted")] if blends else []))
