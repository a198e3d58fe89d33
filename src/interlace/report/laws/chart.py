"""A picture of the theory as a figure of the report: panels under one another over one x axis."""

from __future__ import annotations

import math
from collections.abc import Iterable

from interlace.report.plots.base import (
    NORMAL,
    TITLE_SHIFT,
    Chart,
    Key,
    Spec,
    axis,
    finite,
    label,
    layout,
    line,
    padded,
    plot_text,
)
from interlace.theory.laws.curves import Curve, Mark, Panel, Picture, Role, Spot
from interlace.theory.laws.meanings.words import said

COLOURS: dict[Role, str] = {
    "sft_loss": "sft",
    "reward": "rl",
    "tradeoff": "averaged",
    "other": "line",
    "expert": "expert",
    "bound": "muted",
}

ALONE, STACKED = 420, 230
"""Height of a panel, px: the only one, or one of several."""
BETWEEN, BELOW, ROW = 46, 48, 16
"""Room between panels for a title, under the last one, and for a line of text, px."""


def law_chart(name: str, picture: Picture) -> Chart:
    """The figure, named `name`."""
    count = len(picture.panels)
    height = ALONE if count == 1 else STACKED * count + BETWEEN * (count - 1)
    above = 30 + ROW * len(picture.marks)
    shares = _domains(count, height)
    extent = _extent(picture)
    marks = _rows(picture.marks, extent)
    axes = {f"yaxis{_number(i)}": _y_axis(panel, shares[i]) for i, panel in enumerate(picture.panels)}
    return Chart(
        name=name,
        title=picture.title,
        description="; ".join(f"{panel.title} against {picture.x_title}" for panel in picture.panels),
        data=[trace for i, panel in enumerate(picture.panels) for trace in _traces(picture, panel, _number(i))],
        layout=layout(
            height + above + BELOW,
            margin={"l": TITLE_SHIFT, "r": 12, "t": above, "b": BELOW},
            xaxis=axis(range=extent, anchor=f"y{_number(count - 1)}", title=_axis_title(picture.x_title)),
            annotations=[*_titles(picture, shares), *_mark_names(marks, extent), *_level_names(picture)],
            shapes=[*_mark_lines(marks, height), *_level_lines(picture)],
            **axes,
        ),
        narrow={},
        keys=_keys(picture),
        notes=picture.notes,
    )


def _number(index: int) -> str:
    """Plotly's name of the y axis: nothing for the first."""
    return "" if index == 0 else str(index + 1)


def _axis_title(text: str) -> Spec:
    return {"text": plot_text(text), "font": {"color": "@muted"}, "standoff": 8}


def _domains(count: int, height: int) -> list[list[float]]:
    """Each panel's share of the height, the first on top."""
    step = (STACKED + BETWEEN) / height
    if count == 1:
        return [[0.0, 1.0]]
    return [[max(0.0, 1.0 - step * i - STACKED / height), 1.0 - step * i] for i in range(count)]


def _extent(picture: Picture) -> list[float]:
    """The x range; a plane has room at both sides for names."""
    places = [x for panel in picture.panels for curve in panel.curves for x in curve.x]
    places += [spot.x for panel in picture.panels for spot in panel.spots]
    places += [mark.at for mark in picture.marks]
    if picture.is_plane:
        return [float(end) for end in padded(places, 0.06, 0.16)]
    return [min(places), max(places)]


def _y_axis(panel: Panel, domain: list[float]) -> Spec:
    values = [finite(y) for curve in panel.curves for y in curve.y]
    marked = [*(spot.y for spot in panel.spots), *(level.at for level in panel.levels)]
    return axis(automargin=True, range=padded([*values, *marked], 0.06, 0.1), domain=domain, anchor="x")


def _traces(picture: Picture, panel: Panel, number: str) -> Iterable[Spec]:
    for curve in panel.curves:
        yield _curve(picture, panel, curve, number)
    for spot in panel.spots:
        yield _spot(picture, panel, spot, number)


def _curve(picture: Picture, panel: Panel, curve: Curve, number: str) -> Spec:
    hover = [_tip(curve.name, picture, panel, x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    dash = "dash" if curve.dashed else "solid"
    xs, ys = list(map(finite, curve.x)), list(map(finite, curve.y))
    return line(xs, ys, f"@{COLOURS[curve.role]}", dash=dash, width=1.6 if curve.dashed else 2.4,
                hovertext=hover, yaxis=f"y{number}")  # fmt: skip


def _spot(picture: Picture, panel: Panel, spot: Spot, number: str) -> Spec:
    """A point with its name: on the right, where in a plane (of a cost that rises with reward) nothing is below."""
    left, right = _extent(picture)
    height = "bottom" if picture.is_plane and spot.x > (left + right) / 2.0 else "top"
    colour = f"@{COLOURS[spot.role]}"
    name = plot_text(spot.name).replace("\n", "<br>")
    return {"type": "scatter", "mode": "markers+text", "x": [spot.x], "y": [spot.y], "text": [name],
            "textposition": f"{height} right", "textfont": {"color": colour, "size": 12},
            "marker": {"size": 10, "color": colour}, "hoverinfo": "text", "cliponaxis": False,
            "hovertext": [_tip(spot.name.replace("\n", " / "), picture, panel, spot.x, spot.y)], "showlegend": False,
            "yaxis": f"y{number}"}  # fmt: skip


def _tip(name: str, picture: Picture, panel: Panel, x: float, y: float) -> str:
    lines = [f"{picture.x_title}: {said(x)}", f"{panel.title}: {said(y)}"]
    return "<br>".join([f"<b>{plot_text(name)}</b>", *map(plot_text, lines)])


def _keys(picture: Picture) -> tuple[Key, ...]:
    """Names of the curves, if one panel has several."""
    if all(len(panel.curves) == 1 for panel in picture.panels):
        return ()
    curves = [curve for panel in picture.panels for curve in panel.curves]
    return tuple(Key(each.name, COLOURS[each.role], "dashed" if each.dashed else "solid") for each in curves)


def _titles(picture: Picture, shares: list[list[float]]) -> Iterable[Spec]:
    for index, (panel, domain) in enumerate(zip(picture.panels, shares, strict=True)):
        lifted = 8 + (ROW * len(picture.marks) if index == 0 else 0)
        yield label(0.0, domain[1], f"<b>{plot_text(panel.title)}</b>", xref="paper", yref="paper", xanchor="left",
                    yanchor="bottom", xshift=-TITLE_SHIFT, yshift=lifted, size=NORMAL, bgcolor="@paper",
                    borderpad=0)  # fmt: skip


def _rows(marks: tuple[Mark, ...], extent: list[float]) -> tuple[Mark, ...]:
    """Marks from the lowest line of text to the highest: nearest to an edge highest, so that names cross few lines."""
    left, right = extent
    return tuple(sorted(marks, key=lambda mark: min(mark.at - left, right - mark.at), reverse=True))


def _mark_names(marks: tuple[Mark, ...], extent: list[float]) -> Iterable[Spec]:
    """A line of text for each mark above the panels, beside its own line."""
    middle = sum(extent) / 2.0
    for row, mark in enumerate(marks):
        side: Spec = {"xanchor": "right", "xshift": -4} if mark.at > middle else {"xanchor": "left", "xshift": 4}
        yield label(mark.at, 1.0, f"{plot_text(mark.name)}: {said(mark.at)}", yref="paper", yanchor="bottom",
                    yshift=2 + ROW * row, bgcolor="@paper", borderpad=0, **side)  # fmt: skip


def _mark_lines(marks: tuple[Mark, ...], height: int) -> Iterable[Spec]:
    for row, mark in enumerate(marks):
        top = 1.0 + (ROW * (row + 1)) / height
        yield {"type": "line", "xref": "x", "yref": "paper", "x0": mark.at, "x1": mark.at, "y0": 0, "y1": top,
               "line": {"color": "@ink", "width": 1.2, "dash": "dot"}}  # fmt: skip


def _level_names(picture: Picture) -> Iterable[Spec]:
    for index, panel in enumerate(picture.panels):
        for level in panel.levels:
            named = level.name if level.at == 0.0 else f"{level.name}: {said(level.at)}"
            yield label(1.0, level.at, plot_text(named), "@expert", xref="paper",
                        yref=f"y{_number(index)}", xanchor="right", yanchor="bottom", xshift=-4)  # fmt: skip


def _level_lines(picture: Picture) -> Iterable[Spec]:
    for index, panel in enumerate(picture.panels):
        for level in panel.levels:
            if math.isfinite(level.at):
                yield {"type": "line", "xref": "paper", "yref": f"y{_number(index)}", "x0": 0, "x1": 1, "y0": level.at,
                       "y1": level.at, "line": {"color": "@expert", "width": 1.2, "dash": "dash"}}  # fmt: skip
