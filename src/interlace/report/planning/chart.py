"""Figures of a forecast: SFT loss against reward along every path model, and the price of the next unit of reward."""

from __future__ import annotations

from dataclasses import replace

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting import Forecast, Preflight
from interlace.report.plots.base import Chart, Key, Spec, crosses, drawable, label, line, ribbon, tips, value_of
from interlace.report.plots.plane import NARROW, plane_layout
from interlace.wording import number

STYLES = {
    "systematic": ("rl", "solid"),
    "natural": ("line", "dashed"),
    "group_normalised": ("averaged", "dotted"),
    "softmax": ("sft", "dotted"),
    "kl_regularised": ("sft", "dashed"),
}
"""Colour and stroke of each path model."""
DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot"}
BOUND = "expert"


def plane_chart(found: Preflight, index: int) -> Chart:
    """Reward to the right, SFT loss upwards: the forecasts with their intervals, the floor and the front."""
    loss = found.facts.sft_loss
    start = loss.value if isinstance(loss, Estimate) else 0.0
    traces = [trace for forecast in found.forecasts for trace in _loss_traces(forecast, start)]
    rewards = [point.reward for forecast in found.forecasts for point in forecast.curve]
    losses = [start + end for forecast in found.forecasts for end in _inner_ends(forecast)]
    expert = found.facts.expert_reward
    return Chart(
        name=f"forecast-{index}",
        title="SFT loss against reward, forecast",
        description=f"Forecast SFT loss against reward on {found.task} along {len(found.forecasts)} path models.",
        data=[*_bound_traces(found), *traces, _start_trace(found)],
        layout=plane_layout(
            rewards, [start, *losses], _stops(found, start), expert if isinstance(expert, Estimate) else None
        ),
        narrow=NARROW,
        keys=_keys(found),
        notes=("Bands are over prompts: whether RL follows a path model is what the run will tell.",),
    )


def price_chart(found: Preflight, index: int) -> Chart:
    """The implied exchange rate: stopping at a reward is right if one nat is worth so much reward."""
    traces, rates = [], []
    for forecast in found.forecasts:
        colour, stroke = STYLES[forecast.path_model]
        x = [point.reward for point in forecast.curve]
        figures = [point.implied_exchange_rate for point in forecast.curve]
        rates += [value for figure in figures if (value := value_of(figure)) is not None]
        hover = [
            tips(f"reward {number(r, 2)}", (("exchange rate", figure),)) for r, figure in zip(x, figures, strict=True)
        ]
        traces += [
            ribbon(x, figures, f"@{colour}", opacity=0.14),
            line(x, [value_of(figure) for figure in figures], f"@{colour}", dash=DASHES[stroke], hovertext=hover),
        ]
    top = sorted(rates)[-max(1, len(rates) // 6)] if rates else 1.0  # towards the least SFT loss it has no bound
    axes = plane_layout([point.reward for each in found.forecasts for point in each.curve], [0.0, top], [], None)
    axes["annotations"] = [axes["annotations"][0] | {"text": "<b>Implied exchange rate</b>, reward units per nat"}]
    return Chart(
        name=f"price-{index}",
        title="What a nat must be worth for stopping here to be right",
        description=f"Implied exchange rate against reward on {found.task}.",
        data=traces,
        layout=axes | {"height": 360},
        narrow=NARROW | {"height": 320},
        keys=tuple(key for key in _keys(found) if key.colour != BOUND),
        notes=(
            "If a nat of SFT loss is worth less to you than the curve says, go on; if more, you are past your stop.",
        ),
    )


def _loss_traces(forecast: Forecast, start: float) -> list[Spec]:
    colour, stroke = STYLES[forecast.path_model]
    x = [point.reward for point in forecast.curve]
    figures = [_raised(point.sft_loss_change, start) for point in forecast.curve]
    hover = [
        tips(
            f"{forecast.path_model}, reward {number(point.reward, 2)}",
            (("SFT loss changes by", point.sft_loss_change), ("on right responses", point.right),
             ("on wrong ones", point.wrong), ("KL", point.kl)),
        )
        for point in forecast.curve
    ]  # fmt: skip
    return [
        ribbon(x, figures, f"@{colour}", opacity=0.14),
        line(x, [value_of(figure) for figure in figures], f"@{colour}", dash=DASHES[stroke], hovertext=hover),
    ]


def _raised(change: Figure, start: float) -> Figure:
    """A change as the level that it leads to."""
    if isinstance(change, Unresolved):
        return change
    return replace(change, value=start + change.value, lower=start + change.lower, upper=start + change.upper)


def _inner_ends(forecast: Forecast) -> list[float]:
    """What the axis must hold: intervals, but for the last points, where a path costs without limit."""
    figures = [point.sft_loss_change for point in forecast.curve[:-3]]
    return [end for figure in figures if drawable(figure) for end in (figure.lower, figure.upper)]  # type: ignore[union-attr]


def _bound_traces(found: Preflight) -> list[Spec]:
    if isinstance(found.bounds, Unresolved):
        return []
    x = [bound.reward for bound in found.bounds]
    return [
        line(x, [bound.front for bound in found.bounds], f"@{BOUND}", width=1.6, hoverinfo="skip"),
        line(x, [bound.floor for bound in found.bounds], f"@{BOUND}", dash="dot", width=1.2, hoverinfo="skip"),
    ]


def _start_trace(found: Preflight) -> Spec:
    facts = found.facts
    words = tips("the start", (("reward", facts.reward), ("SFT loss", facts.sft_loss)))
    marker = {"size": 10, "color": "@paper", "line": {"color": "@ink", "width": 2.4}}
    return crosses([facts.reward], [facts.sft_loss], "@ink", **marker) | {"hoverinfo": "text", "hovertext": [words]}


def _stops(found: Preflight, start: float) -> list[Spec]:
    """A mark at each path model's best stop, where an exchange rate was asked for."""
    marks = []
    for forecast in found.forecasts:
        stop = None if forecast.stop is None else value_of(forecast.stop.reward)
        if stop is not None:
            change = value_of(forecast.path.at(stop).sft_loss_change) or 0.0
            marks.append(
                label(stop, start + change, "stop \u25be", f"@{STYLES[forecast.path_model][0]}", yanchor="bottom")
            )
    return marks


def _keys(found: Preflight) -> tuple[Key, ...]:
    keys = [Key(f"if RL moves as {each.path_model}", *STYLES[each.path_model]) for each in found.forecasts]
    if isinstance(found.bounds, Unresolved):
        return tuple(keys)
    return (*keys, Key("the front: no policy has less", BOUND), Key("D13's floor", BOUND, "dotted"))
