"""The forecasts that a stage made of itself, with what happened on top: SFT loss against the reward that came."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.forecast_scores import OUTRIGHT, ScoredForecast, looks_of, scored_forecasts
from interlace.forecasting import FanPoint, Looks
from interlace.report.formatting import shorten
from interlace.report.plots.base import Chart, Key, Spec, line, plot_text, ribbon, tips
from interlace.report.plots.plane import NARROW, plane_layout
from interlace.store import RunRecord, StageRecord
from interlace.store.forecasts import ForecastRecord
from interlace.wording import number

COLOURS = ("@expert", "@rl")
"""Of the first forecast that is shown, and of the last."""
NO_END = (
    "The stage\u2019s end was not forecast: that takes three looks before it, the start\u2019s among them, and "
    "something that moves."
)
SHOWN = (0.0, 0.2)
"""Shares of a stage whose forecasts are drawn: before it, and the first from there on."""


def fan_charts(record: RunRecord) -> list[Chart]:
    """One a stage, task and kind of weights that forecasts were kept of."""
    scored = scored_forecasts(record)
    charts: list[Chart] = []
    for position, stage in enumerate(record.stages):
        for key in dict.fromkeys((kept.task, kept.weights) for kept in stage.forecasts):
            kept = [each for each in stage.forecasts if (each.task, each.weights) == key]
            judged = [each for each in scored if (each.stage, each.task, each.weights) == (stage.name, *key)]
            looks = looks_of(stage, kept[0])
            if looks is not None:
                charts.append(_chart(f"fan-{position}-{len(charts)}", stage, _shown(stage, kept), looks, judged))
    return charts


def _shown(stage: StageRecord, kept: Sequence[ForecastRecord]) -> list[ForecastRecord]:
    """The forecast before the stage and the one at a fifth of it, as far as they are there."""
    due = [
        next((each for each in kept if each.forecast.made_at >= share * stage.steps_planned), None) for share in SHOWN
    ]
    return list({each.forecast.made_at: each for each in due if each is not None}.values())


def _chart(
    name: str, stage: StageRecord, shown: Sequence[ForecastRecord], looks: Looks, judged: Sequence[ScoredForecast]
) -> Chart:
    first, reached = shown[0], float(looks.reward.max())
    traces = [trace for each, colour in zip(shown, COLOURS, strict=False) for trace in _fan(each, colour, reached)]
    rewards = [point.reward for point in _drawn(first, reached)]
    ends = [
        end for each in shown for point in _drawn(each, reached) for end in (point.sft_loss.lower, point.sft_loss.upper)
    ]
    other = "" if first.task == first.reward_task else f", reward of {first.reward_task}"
    return Chart(
        name=name,
        title=f"{shorten(stage.name)}: {first.task}{other}, {first.weights} weights",
        description="SFT loss against reward as the stage forecast it, with intervals, and as it came.",
        data=[*traces, _came(looks)],
        layout=plane_layout([*rewards, *looks.reward.tolist()], [*ends, *looks.sft_loss.tolist()], [], None),
        narrow=NARROW,
        keys=(*(Key(f"forecast {_when(each)}", colour[1:]) for each, colour in zip(shown, COLOURS, strict=False)),
              Key("what came, look by look", "ink")),
        notes=(*(tuple(_note(each) for each in judged if each.kind == OUTRIGHT) or (NO_END,)),
               *dict.fromkeys(note for each in shown for note in each.forecast.notes)),
    )  # fmt: skip


def _drawn(kept: ForecastRecord, reached: float) -> list[FanPoint]:
    """The fan up to the first reward beyond what was reached: further on it speaks of what never came."""
    points = kept.forecast.fan
    beyond = next((i for i, point in enumerate(points) if point.reward > reached), len(points) - 1)
    return list(points[: beyond + 1])


def _fan(kept: ForecastRecord, colour: str, reached: float) -> list[Spec]:
    points = _drawn(kept, reached)
    x, figures = [point.reward for point in points], [point.sft_loss for point in points]
    hover = [
        tips(f"forecast {_when(kept)}, reward {number(point.reward, 2)}", (("SFT loss", point.sft_loss),))
        for point in points
    ]
    return [
        ribbon(x, figures, colour, opacity=0.14),
        line(x, [each.value for each in figures], colour, hovertext=hover),
    ]


def _came(looks: Looks) -> Spec:
    hover = [f"<b>step {step:.0f}</b><br>reward {number(reward, 3)}<br>SFT loss {number(loss, 3)}"
             for step, reward, loss in zip(looks.steps, looks.reward, looks.sft_loss, strict=True)]  # fmt: skip
    marker = {"size": 6, "color": "@ink"}
    return line(looks.reward.tolist(), looks.sft_loss.tolist(), "@ink", mode="lines+markers", marker=marker,
                width=1.2, hovertext=hover)  # fmt: skip


def _when(kept: ForecastRecord) -> str:
    made_at = kept.forecast.made_at
    return "before the stage" if made_at == 0 else f"after step {made_at:,}"


def _note(each: ScoredForecast) -> str:
    """How the forecast of the stage's end came out."""
    held = "which its interval held" if each.score.is_covered else "outside its interval"
    forecast = plot_text(str(each.score.forecast))
    came = number(each.score.truth, 2)
    return f"At {each.share:.0%} of the stage it forecast {forecast} at the end; {came} came, {held}."
