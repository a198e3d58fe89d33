"""All seeds in one (reward, SFT loss) plane, with the recipe's own interval at the start and end of each RL stage."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.seeds import ObjectiveChangeAcrossSeeds
from interlace.analysis.summary import RunSummary
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, RAW
from interlace.report.formatting import shorten, weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips, value_of
from interlace.report.plots.pipeline import RL, curve_of, extent, place, since_rl, tasks
from interlace.report.plots.plane import NARROW, plane_layout

COLOURS = {RAW: "@rl", AVERAGED: "@averaged"}


def seeds_charts(summaries: Sequence[RunSummary], across: Sequence[ObjectiveChangeAcrossSeeds]) -> list[Chart]:
    """One figure a task."""
    names = dict.fromkeys(task for summary in summaries for task in tasks(summary))
    charts = [_chart(i, task, summaries, across) for i, task in enumerate(names)]
    return [chart for chart in charts if chart.data]


def _chart(i: int, task: str, summaries: Sequence[RunSummary], across: Sequence[ObjectiveChangeAcrossSeeds]) -> Chart:
    data = [trace for summary in summaries for trace in _paths(summary, task)]
    means = [trace for stage in _rl_stages(summaries) for trace in _means(stage, task, across)]
    experts = [s.expert_reward for summary in summaries for s in summary.stages if s.task == task]
    expert = next((figure for figure in experts if isinstance(figure, Estimate)), None)
    shown = [[item for item in since_rl(place(summary)) if item.stage.kind == RL] for summary in summaries]
    reward = [end for items in shown for end in extent(items, task, "reward")] + ([expert.value] if expert else [])
    loss = [end for items in shown for end in extent(items, task, "sft_loss")]
    return Chart(
        name=f"seeds-{i}",
        title=f"Task {task}" if i else "",
        description=f"SFT loss against reward along the RL stages of {len(summaries)} seeds.",
        data=[*data, *means],
        layout=plane_layout(reward, loss, _mean_labels(means), expert),
        narrow=NARROW,
        keys=(
            Key("one seed, the run\u2019s own weights", "rl"),
            Key("one seed, averaged weights", "averaged"),
            Key("mean over seeds at start and end, interval over seeds", "ink", "cross"),
        ),
    )


def _rl_stages(summaries: Sequence[RunSummary]) -> list[str]:
    return list(dict.fromkeys(stage.name for summary in summaries for stage in summary.stages if stage.kind == RL))


def _paths(summary: RunSummary, task: str) -> list[Spec]:
    paths: list[Spec] = []
    for stage in (stage for stage in summary.stages if stage.kind == RL):
        for weights, colour in COLOURS.items():
            curve = curve_of(stage, task, weights)
            if curve is None:
                continue
            head = f"seed {summary.seed}, {plot_text(shorten(stage.name))}, {weights_name(weights)}"
            rows = zip(curve.steps, curve.reward, curve.sft_loss, strict=True)
            hover = [tips(f"{head}, step {at:,}", (("reward", r), ("SFT loss", loss))) for at, r, loss in rows]
            x, y = [value_of(item) for item in curve.reward], [value_of(item) for item in curve.sft_loss]
            paths.append(line(x, y, colour, width=1.3, opacity=0.6, hovertext=hover))
    return paths


def _means(stage: str, task: str, across: Sequence[ObjectiveChangeAcrossSeeds]) -> list[Spec]:
    """Crosses at the stage's start (raw weights alone) and at its end."""
    found = {(row.objective, row.weights): row for row in across if (row.stage, row.task) == (stage, task)}
    traces: list[Spec] = []
    for weights, colour in COLOURS.items():
        reward, loss = found.get(("reward", weights)), found.get(("sft_loss", weights))
        if reward is None or loss is None:
            continue
        ends = [(reward.before, loss.before), (reward.after, loss.after)]
        traces.append(_cross(stage, weights, ends if weights == RAW else ends[1:], colour))
    return traces


def _cross(stage: str, weights: str, ends: Sequence[tuple[Figure, Figure]], colour: str) -> Spec:
    rewards, losses = [reward for reward, _ in ends], [loss for _, loss in ends]
    names = ["starts", "ends"][-len(ends) :]
    head = plot_text(shorten(stage, 16))
    hover = [
        tips(f"{head} {name}, {weights_name(weights)}, all seeds", (("reward", r), ("SFT loss", loss)))
        for name, (r, loss) in zip(names, ends, strict=True)
    ]
    marker: Spec = {"size": 9, "color": colour, "line": {"color": "@paper", "width": 1.5}}
    named = {"hoverinfo": "text", "hovertext": hover, "meta": [f"{head} {name}" for name in names]}
    return crosses(rewards, losses, "@ink", **marker) | named


def _mean_labels(means: Sequence[Spec]) -> list[Spec]:
    """The raw weights' crosses are named; the averaged ones share their colour with the lines."""
    return [
        label(x, y, name, "@ink", xanchor="left", yanchor="bottom", xshift=8, yshift=4)
        for trace in means
        for x, y, name in zip(trace["x"], trace["y"], trace["meta"], strict=True)
        if x is not None and y is not None and trace["marker"]["color"] == COLOURS[RAW]
    ]
