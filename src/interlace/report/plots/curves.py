"""Both objectives over the whole pipeline: held-out SFT loss above, reward below, on one axis of optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import Landmarks, RunSummary
from interlace.estimate import Estimate, value_text
from interlace.measurement import AVERAGED, RAW
from interlace.report.formatting import shorten, weights_name
from interlace.report.plots.base import (
    NORMAL,
    TITLE_SHIFT,
    Chart,
    Key,
    Spec,
    axis,
    label,
    layout,
    line,
    padded,
    plot_text,
    ribbon,
    tips,
    value_of,
)
from interlace.report.plots.pipeline import Placed, curve_of, extent, figures_of, place, since_rl, tasks, title_of
from interlace.wording import number

LOSS, REWARD = "sft_loss", "reward"
PANELS = {LOSS: ("y", "@sft", [0.55, 1.0]), REWARD: ("y2", "@rl", [0.0, 0.41])}
"""Quantity: its y axis, its colour, its share of the height."""

TITLES = {LOSS: "<b>Held-out SFT loss</b>, nats per response", REWARD: "<b>Held-out reward</b>"}


def curves_charts(summary: RunSummary) -> list[Chart]:
    """One figure a task: both curves, intervals, stage bands, parity and the expert's reward."""
    return [_chart(summary, place(summary), task) for task in tasks(summary)]


def _chart(summary: RunSummary, placed: Sequence[Placed], task: str) -> Chart:
    loss_range = padded(extent(since_rl(placed), task, LOSS), above=0.22)
    reward_range = padded(extent(placed, task, REWARD), above=0.14)
    marks = [mark for item in placed for mark in (*_landmarks(item, task), *_stop(item))]
    averaged = [note for item in placed for note in _averaged_label(item, task, placed[-1].end)][:1]
    annotations = [
        *_titles(),
        *_off_scale(placed, task, loss_range[1]),
        *_expert_label(placed, task),
        *_first_of_each([mark for mark in marks if "text" in mark]),
    ]
    shapes = [*[band(item) for item in placed], *_expert_line(placed, task), *[m for m in marks if "text" not in m]]
    return Chart(
        name=f"curves-{tasks(summary).index(task)}",
        title=title_of(task, summary),
        description="Held-out SFT loss and reward against optimizer steps over all stages, with intervals.",
        data=[trace for quantity in (LOSS, REWARD) for item in placed for trace in _traces(item, task, quantity)],
        layout=_layout(placed, loss_range, reward_range, [*annotations, *averaged, *stage_names(placed, 120)], shapes),
        narrow={
            "margin": {"l": TITLE_SHIFT, "r": 4, "t": 44, "b": 42},
            "height": 500,
            "annotations": [*annotations, *stage_names(placed, 44)],
        },
        keys=_keys(placed, task),
    )


def _layout(
    placed: Sequence[Placed], loss: list[float], reward: list[float], annotations: list[Spec], shapes: list[Spec]
) -> Spec:
    total = max(placed[-1].end, 1)
    return layout(
        540,
        margin={"l": TITLE_SHIFT, "r": 12, "t": 44, "b": 46},
        xaxis=axis(
            range=[-0.004 * total, total * 1.012],
            showgrid=False,
            anchor="y2",
            tickformat=",d",
            title={"text": "optimizer steps over all stages", "font": {"color": "@muted"}, "standoff": 8},
        ),
        yaxis=axis(automargin=True, range=loss, domain=PANELS[LOSS][2], anchor="x"),
        yaxis2=axis(automargin=True, range=reward, domain=PANELS[REWARD][2], anchor="x"),
        annotations=annotations,
        shapes=shapes,
    )


def _traces(item: Placed, task: str, quantity: str) -> list[Spec]:
    traces: list[Spec] = []
    for weights, dash in ((RAW, "solid"), (AVERAGED, "dash")):
        curve = curve_of(item.stage, task, weights)
        if curve is None:
            continue
        axis_name, colour, _ = PANELS[quantity]
        x, figures = item.abscissa(curve), figures_of(curve, quantity)
        hover = [
            tips(f"{plot_text(shorten(item.stage.name))}, step {step:,}, {weights_name(weights)} weights",
                 (("SFT loss", loss), ("reward", reward)))
            for step, loss, reward in zip(curve.steps, curve.sft_loss, curve.reward, strict=True)
        ]  # fmt: skip
        traces.append(ribbon(x, figures, f"{colour}-ribbon", yaxis=axis_name))
        values = [value_of(figure) for figure in figures]
        marker = {"size": 4.5 if weights == RAW else 0.1, "color": colour}
        traces.append(line(x, values, colour, dash=dash, mode="lines+markers", marker=marker, width=2.2,
                           hovertext=hover, yaxis=axis_name))  # fmt: skip
    return traces


def _keys(placed: Sequence[Placed], task: str) -> tuple[Key, ...]:
    keys = [Key("SFT loss", "sft"), Key("reward", "rl")]
    if any(curve_of(item.stage, task, AVERAGED) for item in placed):
        keys = [*keys, Key("the stage\u2019s averaged weights", "ink", "dashed")]
    return (*keys, Key("interval over held-out prompts", "sft-ribbon", "band"))


def _titles() -> list[Spec]:
    return [
        label(0.0, PANELS[quantity][2][1], text, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
              xshift=-TITLE_SHIFT, yshift=22 if quantity == LOSS else 4, size=NORMAL)
        for quantity, text in TITLES.items()
    ]  # fmt: skip


def band(item: Placed) -> Spec:
    """A stage's ground, in the colour of what it trains."""
    return {"type": "rect", "xref": "x", "yref": "paper", "x0": item.start, "x1": item.end, "y0": 0, "y1": 1,
            "line": {"width": 0}, "layer": "below", "fillcolor": f"{item.colour}-band"}  # fmt: skip


def _stage_name(item: Placed, room: int) -> Spec:
    name = plot_text(shorten(item.stage.name, max(room, 2)))
    where = {"yref": "paper", "yanchor": "bottom", "yshift": 3}
    return label((item.start + item.end) / 2.0, 1.0, f"<b>{name}</b>", item.colour, **where)


def stage_names(placed: Sequence[Placed], characters: int) -> list[Spec]:
    """Names over the bands, cut to each band's share of `characters`, which fit into the figure's width."""
    total = max(placed[-1].end, 1)
    return [_stage_name(item, round(characters * (item.end - item.start) / total)) for item in placed]


def _first_of_each(notes: Sequence[Spec]) -> list[Spec]:
    """The first parity and the first least SFT loss are named; later stages' marks speak for themselves."""
    first: dict[str, Spec] = {}
    for note in notes:
        first.setdefault(note["text"].split()[0], note)
    return list(first.values())


def _landmarks(item: Placed, task: str) -> list[Spec]:
    """Parity (a dotted line through both panels, named between them) and the least SFT loss of an RL stage."""
    if item.stage.kind != "rl" or task != item.stage.task:
        return []
    landmarks = item.stage.landmarks.get(RAW)
    return [*parity(item, landmarks, 0.48), *_least(item, landmarks)] if landmarks else []


def parity(item: Placed, landmarks: Landmarks, height: float) -> list[Spec]:
    """Where reward passed the expert's: a dotted line, named at `height` (a share of the figure's)."""
    step = landmarks.parity_crossing if isinstance(landmarks.parity_crossing, float | int) else landmarks.parity_step
    if not isinstance(step, float | int) or step <= 0:
        return []
    x = item.start + step
    stroke = {"color": "@ink", "width": 1.2, "dash": "dot"}
    text = "parity: reward passes the expert\u2019s"
    return [
        {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": stroke},
        label(x, height, text, yref="paper", xanchor="right", yanchor="middle", xshift=-5),
    ]


def _stop(item: Placed) -> list[Spec]:
    """Where the stage's stop rule ended it: the weights that it kept."""
    if item.stage.stopped is None:
        return []
    x = item.start + item.stage.stopped.end_step
    stroke = {"color": "@ink", "width": 1.2}
    text = f"stopped: {item.stage.stopped.rule.replace('_', ' ')}"
    return [
        {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": stroke},
        label(x, 0.44, text, yref="paper", xanchor="right", yanchor="middle", xshift=-5),
    ]


def _least(item: Placed, landmarks: Landmarks) -> list[Spec]:
    least, step = landmarks.least_sft_loss, landmarks.least_sft_loss_step
    if not isinstance(least, Estimate) or not isinstance(step, int):
        return []
    return [label(item.start + step, least.lower, f"least {value_text(least)}", "@sft", yref="y", xanchor="right",
                  yanchor="top", xshift=-2, yshift=2)]  # fmt: skip


def _averaged_label(item: Placed, task: str, end: int) -> list[Spec]:
    """The averaged weights' SFT loss is named where it lies, under its curve's middle."""
    curve = curve_of(item.stage, task, AVERAGED)
    middle = curve.sft_loss[2 * len(curve) // 3] if curve else None
    if curve is None or not isinstance(middle, Estimate):
        return []
    x = item.start + curve.steps[2 * len(curve) // 3]
    side = "right" if x > 0.9 * end else "left"
    return [label(x, middle.lower, "averaged", "@sft", xanchor=side, yanchor="top", xshift=2)]


def _off_scale(placed: Sequence[Placed], task: str, top: float) -> list[Spec]:
    """What lies above the loss panel is said in words, so that the rest can be seen."""
    for item in placed:
        curve = curve_of(item.stage, task)
        if curve and isinstance(first := curve.sft_loss[0], Estimate) and first.value > top:
            text = f"\u2191 {number(first.value, 2)} at step {item.start + curve.steps[0]:,}"
            return [label(item.start, top, text, "@sft", xanchor="left", yanchor="top", xshift=6, yshift=-4)]
    return []


def _experts(placed: Sequence[Placed], task: str) -> list[tuple[Placed, Estimate]]:
    return [
        (item, item.stage.expert_reward)
        for item in placed
        if item.stage.task == task and isinstance(item.stage.expert_reward, Estimate)
    ]


def _expert_line(placed: Sequence[Placed], task: str) -> list[Spec]:
    return [
        {"type": "line", "xref": "x", "yref": "y2", "x0": item.start, "x1": item.end, "y0": expert.value,
         "y1": expert.value, "line": {"color": "@expert", "width": 1.4, "dash": "dash"}}
        for item, expert in _experts(placed, task)
    ]  # fmt: skip


def _expert_label(placed: Sequence[Placed], task: str) -> list[Spec]:
    return [
        label(item.start, expert.value, f"the expert\u2019s reward {value_text(expert)}", "@expert", yref="y2",
              xanchor="left", yanchor="bottom", xshift=6)
        for item, expert in _experts(placed, task)[:1]
    ]  # fmt: skip
