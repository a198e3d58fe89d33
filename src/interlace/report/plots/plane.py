"""The (reward, SFT loss) plane: the way each stage took, its averaged weights, and the straight line start to end."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import PREDICTED, Curve, RunSummary
from interlace.estimate import Estimate, value_text
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.report.formatting import shorten, weights_name
from interlace.report.plots.base import (
    NORMAL,
    TITLE_SHIFT,
    Chart,
    Key,
    Spec,
    axis,
    crosses,
    label,
    layout,
    line,
    padded,
    plot_text,
    tips,
    value_of,
)
from interlace.report.plots.pipeline import RL, Placed, curve_of, extent, place, since_rl, stage_label, tasks, title_of
from interlace.wording import Number

STROKES = {
    RAW: ("@rl", "solid", "circle"),
    AVERAGED: ("@averaged", "solid", "diamond"),
    LINE: ("@line", "dot", "square-open"),
    PREDICTED: ("@muted", "dash", "circle-open"),
}
"""Weights: colour, dash, marker."""

KEYS = {
    RAW: Key("RL, the run\u2019s own weights", "rl"),
    AVERAGED: Key("RL, averaged weights", "averaged"),
    LINE: Key("straight line from start to end", "line", "dotted"),
    PREDICTED: Key("predicted by the parity law (A4)", "muted", "dashed"),
}

KIND_NAMES = {"sft": "SFT", "preference": "preference (DPO, KTO)", "training": "other training"}
"""What a stage is called that is no RL, by its kind."""


def plane_charts(summary: RunSummary) -> list[Chart]:
    """One figure a task on which both objectives were measured."""
    placed = since_rl(place(summary))
    charts = [_chart(summary, placed, task) for task in tasks(summary)]
    return [chart for chart in charts if chart.data]


def _chart(summary: RunSummary, placed: Sequence[Placed], task: str) -> Chart:
    shown = [item for item in placed if curve_of(item.stage, task)]
    curves = [(item, kind, curve) for item in shown for kind in STROKES if (curve := curve_of(item.stage, task, kind))]
    drawn = [(item, kind, curve) for item, kind, curve in curves if item.stage.kind == RL or kind == RAW]
    drawn.sort(key=lambda entry: entry[0].stage.kind == RL)
    data = [trace for item, kind, curve in drawn for trace in _traces(item, kind, curve) if _points(curve)]
    experts = [item.stage.expert_reward for item in shown if item.stage.task == task]
    expert = next((figure for figure in experts if isinstance(figure, Estimate)), None)
    annotations = [note for item, kind, curve in drawn for note in _end_labels(item, kind, curve)]
    reward = [*extent(shown, task, "reward"), *([expert.value] if expert else [])]
    return Chart(
        name=f"plane-{tasks(summary).index(task)}",
        title=title_of(task, summary),
        description="SFT loss against reward: the path of each stage from the first RL stage on.",
        data=data,
        layout=plane_layout(reward, extent(shown, task, "sft_loss"), annotations, expert),
        narrow=NARROW,
        keys=_keys(drawn),
    )


SIDES = (0.07, 0.2)
"""Room left and right of the paths, as shares of their width: labels stand to the right of the ends."""
BETTER = "better on both \u2198"
"""In the lower right corner."""
NARROW: Spec = {"margin": {"l": TITLE_SHIFT, "r": 4, "t": 40, "b": 46}, "height": 430}


def plane_layout(reward: list[float], loss: list[float], annotations: list[Spec], expert: Estimate | None) -> Spec:
    """Reward to the right, SFT loss upwards, with room for the given values: best is the lower right corner."""
    title = label(0.0, 1.0, "<b>Held-out SFT loss</b>, nats per response", xref="paper", yref="paper", xanchor="left",
                  yanchor="bottom", xshift=-TITLE_SHIFT, yshift=8, size=NORMAL)  # fmt: skip
    better = label(1.0, 0.0, BETTER, "@muted", xref="paper", yref="paper", xanchor="right",
                   yanchor="bottom", xshift=-6, yshift=4)  # fmt: skip
    reward_range, loss_range = padded(reward, *SIDES), padded(loss, 0.08, 0.1)
    extra, shapes = _expert(expert, reward_range)
    return layout(
        520,
        margin={"l": TITLE_SHIFT, "r": 12, "t": 40, "b": 48},
        xaxis=axis(range=reward_range, title={"text": "held-out reward", "font": {"color": "@muted"}, "standoff": 8}),
        yaxis=axis(range=loss_range),
        annotations=[title, better, *extra, *annotations],
        shapes=shapes,
    )


def _expert(expert: Estimate | None, reward_range: Sequence[Number]) -> tuple[list[Spec], list[Spec]]:
    """The expert's reward: a vertical line, named on the side with more room."""
    if expert is None:
        return [], []
    left = expert.value > sum(reward_range) / 2.0
    side: Spec = {"xanchor": "right", "xshift": -5} if left else {"xanchor": "left", "xshift": 5}
    text = f"the expert\u2019s reward {value_text(expert)}"
    note = label(expert.value, 1.0, text, "@expert", yref="paper", yanchor="top", yshift=-2, **side)
    shape = {"type": "line", "xref": "x", "yref": "paper", "x0": expert.value, "x1": expert.value, "y0": 0, "y1": 1,
             "line": {"color": "@expert", "width": 1.4, "dash": "dash"}}  # fmt: skip
    return [note], [shape]


def _points(curve: Curve) -> list[tuple[float, float]]:
    pairs = ((value_of(r), value_of(loss)) for r, loss in zip(curve.reward, curve.sft_loss, strict=True))
    return [(r, loss) for r, loss in pairs if r is not None and loss is not None]


def _is_drawn(curve: Curve, place: int) -> bool:
    return value_of(curve.reward[place]) is not None and value_of(curve.sft_loss[place]) is not None


def _traces(item: Placed, kind: str, curve: Curve) -> list[Spec]:
    """The path, and crosses of intervals at its two ends."""
    colour, dash, symbol = STROKES[kind] if item.stage.kind == RL else ("@sft", "solid", "circle")
    faint = item.stage.kind != RL
    x, y = [value_of(figure) for figure in curve.reward], [value_of(figure) for figure in curve.sft_loss]
    marker = {"color": colour, "size": 5 if faint or kind != RAW else 6, "symbol": symbol}
    mode = "lines" if kind == PREDICTED else "lines+markers"
    path = line(x, y, colour, dash=dash, width=1.4 if faint else 2.4, mode=mode, marker=marker,
                hovertext=_hover(item, kind, curve), opacity=0.75 if faint else 1.0)  # fmt: skip
    return [path, *_ends(item, kind, curve, colour)]


def _ends(item: Placed, kind: str, curve: Curve, colour: str) -> list[Spec]:
    if kind not in (RAW, AVERAGED):
        return []
    places = [0, len(curve) - 1] if kind == RAW and item.stage.kind == RL else [len(curve) - 1]
    rewards, losses = [curve.reward[i] for i in places], [curve.sft_loss[i] for i in places]
    fills = ["@paper" if i == 0 and len(curve) > 1 else colour for i in places]
    return [crosses(rewards, losses, colour, size=10, color=fills, line={"color": colour, "width": 2.4})]


def _hover(item: Placed, kind: str, curve: Curve) -> list[str]:
    name = plot_text(shorten(item.stage.name))
    words = {LINE: "position {:.2f}", PREDICTED: "RL time {:.3g}"}.get(kind, "step {:,.0f}")
    where = [words.format(at) for at in curve.abscissa]
    rows = zip(where, curve.reward, curve.sft_loss, strict=True)
    head = f"{name}, {weights_name(kind)}"
    return [tips(f"{head}, {at}", (("reward", reward), ("SFT loss", loss))) for at, reward, loss in rows]


def _end_labels(item: Placed, kind: str, curve: Curve) -> list[Spec]:
    """Each path is named at its end (the straight line at its middle); the raw path at its start too."""
    points = _points(curve)
    if not points:
        return []
    starts, ends = (_is_drawn(curve, at) for at in (0, -1))
    name = stage_label(item.stage)
    if item.stage.kind != RL:
        return [_end_note(points, f"{name} ends", "@sft")] if ends else []
    colour = STROKES[kind][0]
    if kind == RAW:
        start = [_end_note(points[::-1], f"{name} starts", colour)] if starts else []
        return start + ([_end_note(points, f"{name} ends", colour)] if ends else [])
    if kind == LINE:
        return [_note(points[3 * len(points) // 4], "straight line", colour)]
    return [_end_note(points, {AVERAGED: "averaged", PREDICTED: "predicted"}[kind], colour)]


def _end_note(points: Sequence[tuple[float, float]], text: str, colour: str) -> Spec:
    """A label at the end of a path, where the path would go on: nothing of its own lies there."""
    (x0, y0), (x1, y1) = points[-2:] if len(points) > 1 else (points[-1], points[-1])
    return _note(points[-1], text, colour, right=x1 >= x0, above=y1 > y0)


def _note(at: tuple[float, float], text: str, colour: str, right: bool = True, above: bool = False) -> Spec:
    """A label diagonally off a point, clear of its interval's cross."""
    across: Spec = {"xanchor": "left", "xshift": 8} if right else {"xanchor": "right", "xshift": -8}
    along: Spec = {"yanchor": "bottom", "yshift": 6} if above else {"yanchor": "top", "yshift": -6}
    return label(at[0], at[1], text, colour, **across, **along)


def _keys(drawn: Sequence[tuple[Placed, str, Curve]]) -> tuple[Key, ...]:
    kinds = {kind for item, kind, _ in drawn if item.stage.kind == RL}
    keys = tuple(key for kind, key in KEYS.items() if kind in kinds)
    others = dict.fromkeys(item.stage.kind for item, _, _ in drawn if item.stage.kind != RL)
    if not others:
        return keys
    return (*keys, Key(f"{' and '.join(KIND_NAMES.get(kind, kind) for kind in others)} stages", "sft"))
