"""Where a stage's change of SFT loss came from: right or wrong expert responses (A11), along or off the tilt (A10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.analysis.summary import RunSummary, Split, StageSummary
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.report.formatting import shorten, weights_name
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


def split_charts(summary: RunSummary) -> list[Chart]:
    """One figure a stage and kind of weights, on one scale within a stage; RL stages first."""
    charts = [(stage.kind != "rl", _stage_charts(place, stage)) for place, stage in enumerate(summary.stages)]
    return [chart for _, of_stage in sorted(charts, key=lambda entry: entry[0]) for chart in of_stage]


def _stage_charts(place: int, stage: StageSummary) -> list[Chart]:
    parts = {weights: _parts(stage, weights, split) for weights, split in stage.split.items()}
    known = {weights: items for weights, items in parts.items() if _says_anything(items)}
    scale = _scale([item for items in known.values() for item in items])
    return [_chart(place, stage, weights, items, scale) for weights, items in known.items()]


def _says_anything(parts: Sequence[Part]) -> bool:
    return any(value_of(part.figure) is not None for part in parts[1:])


def _parts(stage: StageSummary, weights: str, split: Split) -> list[Part]:
    damage, unlearning = ("damage if positive", "wanted unlearning") if stage.kind == "rl" else ("", "")
    parts = [
        Part("<b>Change of SFT loss</b>", stage.objective("sft_loss", weights).change, "@ink", 0.0),
        Part("right expert responses", split.right, "@sft", 1.25, damage),
        Part("wrong expert responses", split.wrong, "@rl", 2.25, unlearning),
    ]
    if stage.kind != "rl":
        return parts
    tilt = Part("along the tilt towards reward", split.tilt, "@averaged", 3.5)
    return [*parts, tilt, Part("off that path", split.off_path, "@line", 4.5)]


def _scale(parts: Sequence[Part]) -> list[float]:
    ends: list[float] = [0.0]
    for part in parts:
        if isinstance(part.figure, Estimate) and drawable(part.figure):
            ends += [part.figure.lower, part.figure.upper]
    return padded(ends, 0.05, 0.05)


def _chart(place: int, stage: StageSummary, weights: str, parts: Sequence[Part], scale: list[float]) -> Chart:
    rows = parts[-1].place + 1.0
    absent = {part.figure.reason: part for part in parts if isinstance(part.figure, Unresolved)}
    return Chart(
        name=f"split-{place}-{weights}",
        title=f"{shorten(stage.name)}, {weights_name(weights)} weights",
        description="; ".join(f"{_plain(part.text)}: {figure_text(part.figure, signed=True)}" for part in parts),
        data=[_bars(parts)],
        layout=layout(
            round(rows * ROW_HEIGHT) + MARGIN,
            margin={"l": 0, "r": 0, "t": 8, "b": 40},
            bargap=0.0,
            xaxis=axis(range=scale, zeroline=True, zerolinecolor="@muted", nticks=5, title=_title()),
            yaxis=axis(range=[rows - 0.42, -0.66], showgrid=False, showticklabels=False),
            annotations=_labels(parts, narrow=False),
        ),
        narrow={"annotations": _labels(parts, narrow=True)},
        notes=tuple(_absence(part, reason) for reason, part in absent.items()),
    )


def _absence(part: Part, reason: str) -> str:
    return f"{_plain(part.text)}: not resolved: {reason}"


def _title() -> Spec:
    return {"text": "nats per response", "font": {"color": "@muted"}, "standoff": 6}


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
