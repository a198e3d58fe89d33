"""The angle between what SFT and RL want: the cosine of both objectives' gradients over the whole pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import RunSummary
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import RAW
from interlace.report.formatting import shorten
from interlace.report.plots.base import (
    TITLE_SHIFT,
    Chart,
    Key,
    Spec,
    axis,
    drawable,
    error_bars,
    label,
    layout,
    line,
    padded,
    plot_text,
    tips,
    value_of,
)
from interlace.report.plots.curves import band, parity, stage_names
from interlace.report.plots.pipeline import Placed, place, tasks, title_of
from interlace.report.reasons import in_users_words
from interlace.store import RunRecord
from interlace.wording import counted

QUANTITY = "gradient_cosine"


def angle_charts(record: RunRecord, summary: RunSummary) -> list[Chart]:
    """One figure a task whose gradients were compared: cosine with interval, zero, parity."""
    placed = place(summary)
    found = [(task, _points(record, placed, task)) for task in tasks(summary)]
    return [_chart(summary, placed, task, points) for task, points in found if any(points)]


def _points(record: RunRecord, placed: Sequence[Placed], task: str) -> list[list[tuple[int, Figure]]]:
    """Step and figure, stage by stage."""
    return [
        [
            (item.point.step, item.figure)
            for item in stage.measurements
            if (item.quantity, item.point.task, item.point.weights) == (QUANTITY, task, RAW)
        ]
        for stage, _ in zip(record.stages, placed, strict=True)
    ]


def _chart(
    summary: RunSummary, placed: Sequence[Placed], task: str, points: Sequence[Sequence[tuple[int, Figure]]]
) -> Chart:
    known = [figure for stage in points for _, figure in stage if isinstance(figure, Estimate) and drawable(figure)]
    ends = [0.0, *(end for figure in known for end in (figure.lower, figure.upper))]
    low, high = padded(ends, below=0.16, above=0.16)
    marks = [mark for item in placed for mark in _parity(item, task)]
    annotations = [*_meaning(), *[mark for mark in marks if "text" in mark][:1]]
    shapes = [*[band(item) for item in placed], _zero(), *[mark for mark in marks if "text" not in mark]]
    return Chart(
        name=f"angle-{tasks(summary).index(task)}",
        title=title_of(task, summary),
        description="Cosine of the gradients of SFT loss and reward against optimizer steps, with intervals.",
        data=[trace for item, stage in zip(placed, points, strict=True) if stage for trace in _traces(item, stage)],
        layout=_layout(placed, [max(low, -1.05), min(high, 1.05)], [*annotations, *stage_names(placed, 120)], shapes),
        narrow={"height": 260, "annotations": [*annotations, *stage_names(placed, 44)]},
        keys=(Key("cosine of the two gradients, with its interval", "line"),),
        notes=tuple(note for item, stage in zip(placed, points, strict=True) for note in _gaps(item, stage)),
    )


def _gaps(item: Placed, points: Sequence[tuple[int, Figure]]) -> list[str]:
    """Where the cosine was not resolved, which is drawn as a gap, and why."""
    steps: dict[str, list[str]] = {}
    for step, figure in points:
        if isinstance(figure, Unresolved):
            steps.setdefault(figure.reason, []).append(f"{step:,}")
    if not steps:
        return []
    told = "; ".join(f"step {', '.join(found)}: {in_users_words(reason)}" for reason, found in steps.items())
    looks = counted(sum(map(len, steps.values())), "look")
    return [f"{shorten(item.stage.name)}: {looks} did not resolve it and left a gap ({told})."]


def _layout(placed: Sequence[Placed], values: list[float], annotations: list[Spec], shapes: list[Spec]) -> Spec:
    total = max(placed[-1].end, 1)
    title = {"text": "optimizer steps over all stages", "font": {"color": "@muted"}, "standoff": 8}
    return layout(
        300,
        margin={"l": TITLE_SHIFT, "r": 12, "t": 26, "b": 46},
        xaxis=axis(range=[-0.012 * total, total * 1.012], showgrid=False, tickformat=",d", title=title),
        yaxis=axis(automargin=True, range=values),
        annotations=annotations,
        shapes=shapes,
    )


def _traces(item: Placed, points: Sequence[tuple[int, Figure]]) -> list[Spec]:
    """The resolved ones, joined; a gap where the cosine could not be told."""
    x = [float(item.start + step) for step, _ in points]
    figures = [figure for _, figure in points]
    hover = [
        tips(f"{plot_text(shorten(item.stage.name))}, step {step:,}", (("gradient cosine", figure),))
        for step, figure in points
    ]
    marker = {"size": 6, "color": "@line"}
    joined = line(x, [value_of(figure) for figure in figures], "@line", mode="lines+markers", marker=marker,
                  hovertext=hover, error_y=error_bars(figures, "@line"))  # fmt: skip
    return [joined]


def _zero() -> Spec:
    return {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 0,
            "line": {"color": "@muted", "width": 1.2, "dash": "dot"}}  # fmt: skip


def _meaning() -> list[Spec]:
    """What either side of zero says, at the left edge."""
    where = {"xref": "paper", "xanchor": "left", "xshift": 6}
    return [
        label(0.0, 0.0, "\u2191 a step for reward raises SFT loss", "@muted", yanchor="bottom", yshift=3, **where),
        label(0.0, 0.0, "\u2193 it lowers SFT loss", "@muted", yanchor="top", yshift=-3, **where),
    ]


def _parity(item: Placed, task: str) -> list[Spec]:
    landmarks = item.stage.landmarks.get(RAW)
    if item.stage.kind != "rl" or task != item.stage.task or landmarks is None:
        return []
    return parity(item, landmarks, 0.04)
