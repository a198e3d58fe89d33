"""Parts of one change as bars on one scale, each with its interval, its name at the left, its amount at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.report.plots.base import (
    Chart,
    Spec,
    axis,
    drawable,
    error_bars,
    label,
    layout,
    padded,
    plot_text,
    value_of,
)

ROW_HEIGHT, MARGIN = 46, 62


@dataclass(frozen=True, slots=True)
class Part:
    """One bar: its name, its colour, where it stands in the figure (0: top), and what it means."""

    text: str
    figure: Figure
    colour: str
    place: float
    meaning: str = ""


MOST_OF_INTERVAL = 5.0
"""How far a scale follows intervals, in the largest value: one part that is hardly known must not flatten the rest."""


def common_scale(parts: Sequence[Part]) -> list[float]:
    """The range of all intervals and 0, up to `MOST_OF_INTERVAL` times the largest value; beyond it they are cut."""
    known = [part.figure for part in parts if isinstance(part.figure, Estimate) and drawable(part.figure)]
    limit = MOST_OF_INTERVAL * max((abs(figure.value) for figure in known), default=0.0)
    ends = [min(max(end, -limit), limit) for figure in known for end in (figure.lower, figure.upper)]
    return padded([0.0, *ends], 0.05, 0.05)


def parts_chart(
    name: str, title: str, parts: Sequence[Part], scale: list[float], unit: str = "nats per response"
) -> Chart:
    """The bars; a part without a figure is named in a note with its reason."""
    rows = parts[-1].place + 1.0
    absent = {part.figure.reason: part for part in parts if isinstance(part.figure, Unresolved)}
    return Chart(
        name=name,
        title=title,
        description="; ".join(f"{_plain(part.text)}: {figure_text(part.figure, signed=True)}" for part in parts),
        data=[_bars(parts)],
        layout=layout(
            round(rows * ROW_HEIGHT) + MARGIN,
            margin={"l": 0, "r": 0, "t": 8, "b": 40},
            bargap=0.0,
            xaxis=axis(range=scale, zeroline=True, zerolinecolor="@muted", nticks=5, title=_title(unit)),
            yaxis=axis(range=[rows - 0.42, -0.66], showgrid=False, showticklabels=False),
            annotations=_labels(parts, narrow=False),
        ),
        narrow={"annotations": _labels(parts, narrow=True)},
        notes=tuple(_absence(part, reason) for reason, part in absent.items()),
    )


def _absence(part: Part, reason: str) -> str:
    return f"{_plain(part.text)}: not resolved: {reason}"


def _title(unit: str) -> Spec:
    return {"text": unit, "font": {"color": "@muted"}, "standoff": 6}


def _plain(text: str) -> str:
    return text.replace("<b>", "").replace("</b>", "")


def _bars(parts: Sequence[Part]) -> Spec:
    figures = [part.figure for part in parts]
    return {"type": "bar", "orientation": "h", "x": [value_of(figure) for figure in figures],
            "y": [part.place for part in parts], "width": 0.34,
            "marker": {"color": [part.colour for part in parts], "opacity": 0.6},
            "error_x": error_bars(figures, "@ink"), "hoverinfo": "skip", "showlegend": False}  # fmt: skip


def _labels(parts: Sequence[Part], narrow: bool) -> list[Spec]:
    """Above each bar: what it is at the left (its meaning only where there is room), how much at the right."""
    where: Spec = {"yanchor": "bottom", "yshift": 8, "xref": "paper", "bgcolor": "@paper", "borderpad": 0}
    labels: list[Spec] = []
    for part in parts:
        text = part.text if narrow or not part.meaning else f"{part.text} ({part.meaning})"
        labels.append(label(0.0, part.place, text, part.colour, xanchor="left", **where))
        labels.append(label(1.0, part.place, _amount(part.figure), xanchor="right", **where))
    return labels


def _amount(figure: Figure) -> str:
    return "\u2013 not resolved" if isinstance(figure, Unresolved) else plot_text(figure_text(figure, True, unit=False))
