"""Along steps, panel under panel: reward, forecast SFT loss, what a nat buys, variance within prompts, dead groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from interlace.dumps import LossPoint, PlanPoint, RolloutPlan
from interlace.estimate import Estimate, Figure
from interlace.report.plots.base import (
    NORMAL,
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
    ribbon,
    tips,
    value_of,
)

PANEL, BETWEEN, ABOVE, BELOW = 170, 40, 34, 46
"""Heights, px: of a panel, between two for a title, over the first, under the last."""
HIGHEST_RATE = 4.0
"""What a nat buys is drawn up to so many times its last value: at parity it has no end."""


@dataclass(frozen=True)
class _Panel:
    """What one panel shows: `curve` along all points, `points` as sampled (None: nothing)."""

    title: str
    colour: str
    curve: Callable[[PlanPoint], Figure]
    points: Callable[[PlanPoint], Figure] | None = None


PANELS = (
    _Panel("<b>Reward</b>", "rl", lambda point: point.reward_curve, lambda point: point.reward),
    _Panel("<b>Forecast change of SFT loss</b> (C7), nats per response", "sft", lambda point: point.sft_loss_change),
    _Panel("<b>Reward that the next nat of SFT loss buys</b> (A6)", "averaged", lambda p: p.implied_exchange_rate),
    _Panel("<b>Variance of reward within prompts</b>", "line", lambda point: point.reward_variance_curve,
           lambda point: point.reward_variance),
    _Panel("<b>Dead groups</b>, share", "muted", lambda point: point.dead_groups),
)  # fmt: skip


def rollouts_chart(plan: RolloutPlan) -> Chart:
    """All panels in which anything can be drawn, over one axis of steps."""
    panels = [panel for panel in PANELS if any(drawable(panel.curve(point)) for point in plan.points)]
    height = PANEL * len(panels) + BETWEEN * max(len(panels) - 1, 0)
    shares = [_share(i, height) for i in range(len(panels))]
    axes = {f"yaxis{_number(i)}": _y_axis(panel, plan, shares[i]) for i, panel in enumerate(panels)}
    first, last = plan.start.place, plan.now.place
    room = max(last - first, 1.0) * 0.015
    return Chart(
        name="rollouts",
        title="",
        description="Reward, variance within prompts, dead groups, forecast SFT loss and what a nat buys, by step.",
        data=[trace for i, panel in enumerate(panels) for trace in _traces(panel, plan, _number(i))],
        layout=layout(
            height + ABOVE + BELOW,
            margin={"l": TITLE_SHIFT, "r": 12, "t": ABOVE, "b": BELOW},
            xaxis=axis(range=[first - room, last + room], showgrid=False, anchor=f"y{_number(len(panels) - 1)}",
                       tickformat=",d",
                       title={"text": "step of the trainer", "font": {"color": "@muted"}, "standoff": 8}),
            annotations=[*_titles(panels, shares), *_expert_name(plan)],
            shapes=[*_landmarks(plan), *_expert_line(plan)],
            **axes,
        ),
        narrow={"margin": {"l": TITLE_SHIFT, "r": 4, "t": ABOVE, "b": BELOW}},
        keys=_keys(plan),
    )  # fmt: skip


def _number(index: int) -> str:
    """Plotly's name of an axis: nothing for the first."""
    return "" if index == 0 else str(index + 1)


def _share(index: int, height: int) -> list[float]:
    top = 1.0 - index * (PANEL + BETWEEN) / height
    return [max(0.0, top - PANEL / height), top]


def _y_axis(panel: _Panel, plan: RolloutPlan, domain: list[float]) -> Spec:
    figures = [part(point) for part in (panel.curve, panel.points) if part for point in plan.points]
    ends = [end for figure in figures if isinstance(figure, Estimate) and drawable(figure)
            for end in (figure.lower, figure.upper)]  # fmt: skip
    if panel.curve is PANELS[0].curve and isinstance(plan.expert_reward, Estimate):
        ends.append(plan.expert_reward.value)
    if panel.curve is PANELS[1].curve:
        ends += [end for item in plan.losses if isinstance(item.change, Estimate)
                 for end in (item.change.lower, item.change.upper)]  # fmt: skip
    span = padded(ends)
    if panel.curve is PANELS[2].curve:
        now = [figure.value for figure in figures if isinstance(figure, Estimate)][-1]
        span = [0.0, min(float(span[1]), max(HIGHEST_RATE * now, 1e-9))]
    return axis(automargin=True, range=span, domain=domain, anchor="x", nticks=4)


def _traces(panel: _Panel, plan: RolloutPlan, number: str) -> Iterable[Spec]:
    places, figures = [point.place for point in plan.points], [panel.curve(point) for point in plan.points]
    colour, y_axis = f"@{panel.colour}", f"y{number}"
    yield ribbon(places, figures, f"{colour}-ribbon" if panel.colour in ("rl", "sft") else "@grid", yaxis=y_axis)
    if panel.points is not None:
        yield _dots(places, [panel.points(point) for point in plan.points], colour, y_axis)
    hover = [tips(point.name, _read(point)) for point in plan.points]
    yield line(places, list(map(value_of, figures)), colour, hovertext=hover, yaxis=y_axis, width=2.2)
    if panel.curve is PANELS[1].curve and plan.losses:
        yield _losses(plan.losses, y_axis)


def _dots(places: Sequence[float], figures: Sequence[Figure], colour: str, y_axis: str) -> Spec:
    """What was sampled at each point; intervals are in the table, or the points would hide each other."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(places),
        "y": list(map(value_of, figures)),
        "opacity": 0.45,
        "marker": {"size": 4, "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
        "yaxis": y_axis,
    }


def _losses(losses: Sequence[LossPoint], y_axis: str) -> Spec:
    """The change of SFT loss as it was read."""
    figures = [point.change for point in losses]
    hover = [tips(f"step {point.step:,}, as read", (("SFT loss", point.sft_loss), ("change", point.change)))
             for point in losses]  # fmt: skip
    return {"type": "scatter", "mode": "markers", "x": [point.step for point in losses],
            "y": list(map(value_of, figures)), "marker": {"size": 8, "color": "@ink", "symbol": "diamond"},
            "error_y": error_bars(figures, "@ink"), "hoverinfo": "text", "hovertext": hover, "showlegend": False,
            "yaxis": y_axis}  # fmt: skip


def _read(point: PlanPoint) -> list[tuple[str, Figure]]:
    return [
        ("reward here", point.reward),
        ("on the curve", point.reward_curve),
        ("variance", point.reward_variance),
        ("dead groups", point.dead_groups),
        ("RL time", point.rl_time),
        ("forecast SFT loss", point.sft_loss_change),
        ("tilt part", point.tilt),
        ("the next nat buys", point.implied_exchange_rate),
    ]


def _titles(panels: Sequence[_Panel], shares: Sequence[list[float]]) -> Iterable[Spec]:
    for panel, domain in zip(panels, shares, strict=True):
        yield label(0.0, domain[1], panel.title, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
                    xshift=-TITLE_SHIFT, yshift=6, size=NORMAL)  # fmt: skip


def _landmarks(plan: RolloutPlan) -> Iterable[Spec]:
    for figure, dash in ((plan.parity, "dot"), (plan.stop, "dash")):
        if isinstance(figure, Estimate):
            yield {"type": "line", "xref": "x", "yref": "paper", "x0": figure.value, "x1": figure.value, "y0": 0,
                   "y1": 1, "line": {"color": "@ink", "width": 1.2, "dash": dash}}  # fmt: skip


def _expert_line(plan: RolloutPlan) -> Iterable[Spec]:
    if isinstance(plan.expert_reward, Estimate):
        at = plan.expert_reward.value
        yield {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": at, "y1": at,
               "line": {"color": "@expert", "width": 1.2, "dash": "dash"}}  # fmt: skip


def _expert_name(plan: RolloutPlan) -> Iterable[Spec]:
    if isinstance(plan.expert_reward, Estimate):
        yield label(1.0, plan.expert_reward.value, "the expert\u2019s reward", "@expert", xref="paper", yref="y",
                    xanchor="right", yanchor="top", xshift=-4)  # fmt: skip


def _keys(plan: RolloutPlan) -> tuple[Key, ...]:
    keys = [Key("interval over prompts", "rl-ribbon", "band")]
    keys += (
        [Key("parity: reward passes the expert\u2019s", "ink", "dotted")] if isinstance(plan.parity, Estimate) else []
    )
    keys += [Key("best stop", "ink", "dashed")] if isinstance(plan.stop, Estimate) else []
    keys += [Key("change of SFT loss as read", "ink", "cross")] if plan.losses else []
    return tuple(keys)
