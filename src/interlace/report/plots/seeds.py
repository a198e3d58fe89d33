"""All runs in one (reward, SFT loss) plane, with each recipe's own interval at the start and end of its RL stages."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.seeds import ObjectiveChangeAcrossSeeds, across_seeds, alike
from interlace.analysis.summary import RunSummary, StageSummary
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, RAW
from interlace.report.formatting import weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips, value_of
from interlace.report.plots.pipeline import RL, curve_of, extent, place, since_rl, stage_label, tasks
from interlace.report.plots.plane import NARROW, plane_layout

COLOURS = {RAW: "@rl", AVERAGED: "@averaged"}
STROKES = (("solid", "solid"), ("dot", "dotted"), ("dash", "dashed"))
"""Stroke of a recipe's paths: plotly's word and the key's; they begin again after the last."""


def seeds_charts(summaries: Sequence[RunSummary]) -> list[Chart]:
    """One figure a task."""
    names = dict.fromkeys(task for summary in summaries for task in tasks(summary))
    charts = [_chart(i, task, summaries) for i, task in enumerate(names)]
    return [chart for chart in charts if chart.data]


def _chart(i: int, task: str, summaries: Sequence[RunSummary]) -> Chart:
    groups = alike(summaries)
    means = [trace for group in groups for trace in _means(group, task)]
    experts = [s.expert_reward for summary in summaries for s in summary.stages if s.task == task]
    expert = next((figure for figure in experts if isinstance(figure, Estimate)), None)
    shown = [[item for item in since_rl(place(summary)) if item.stage.kind == RL] for summary in summaries]
    reward = [end for items in shown for end in extent(items, task, "reward")] + ([expert.value] if expert else [])
    loss = [end for items in shown for end in extent(items, task, "sft_loss")]
    return Chart(
        name=f"seeds-{i}",
        title=f"Task {task}" if i else "",
        description=f"SFT loss against reward along the RL stages of {len(summaries)} runs.",
        data=[
            *(path for at, group in enumerate(groups) for run in group for path in _paths(run, task, _stroke(at)[0])),
            *means,
        ],
        layout=plane_layout(reward, loss, _mean_labels(means), expert),
        narrow=NARROW,
        keys=_keys(groups),
    )


def _stroke(place: int) -> tuple[str, str]:
    return STROKES[place % len(STROKES)]


def _keys(groups: Sequence[Sequence[RunSummary]]) -> tuple[Key, ...]:
    named = [Key(_group_name(group), "ink", _stroke(at)[1]) for at, group in enumerate(groups)]
    return (
        Key("one seed, the run\u2019s own weights", "rl"),
        Key("one seed, averaged weights", "averaged"),
        *(named if len(groups) > 1 else ()),
        Key("mean over seeds at start and end, interval over seeds", "ink", "cross"),
    )


def _group_name(group: Sequence[RunSummary]) -> str:
    """The recipe with its RL stages, controls called so."""
    stages = ", ".join(stage.name + " (control)" * bool(stage.control) for stage in _rl_stages(group[0]))
    return f"{group[0].recipe}: {stages}" if stages else group[0].recipe


def _rl_stages(summary: RunSummary) -> list[StageSummary]:
    return [stage for stage in summary.stages if stage.kind == RL]


def _paths(summary: RunSummary, task: str, dash: str) -> list[Spec]:
    paths: list[Spec] = []
    for stage in _rl_stages(summary):
        for weights, colour in COLOURS.items():
            curve = curve_of(stage, task, weights)
            if curve is None:
                continue
            head = f"{plot_text(summary.recipe)}, seed {summary.seed}, {stage_label(stage)}, {weights_name(weights)}"
            rows = zip(curve.steps, curve.reward, curve.sft_loss, strict=True)
            hover = [tips(f"{head}, step {at:,}", (("reward", r), ("SFT loss", loss))) for at, r, loss in rows]
            x, y = [value_of(item) for item in curve.reward], [value_of(item) for item in curve.sft_loss]
            paths.append(line(x, y, colour, width=1.3, opacity=0.6, dash=dash, hovertext=hover))
    return paths


def _means(group: Sequence[RunSummary], task: str) -> list[Spec]:
    """Crosses at each RL stage's start (raw weights alone) and at its end; none where seeds cannot be averaged."""
    rows = [row for row in across_seeds(group) if row.task == task]
    return [trace for stage in _rl_stages(group[0]) for trace in _stage_means(stage, rows)]


def _stage_means(stage: StageSummary, rows: Sequence[ObjectiveChangeAcrossSeeds]) -> list[Spec]:
    found = {(row.objective, row.weights): row for row in rows if row.stage == stage.name}
    traces: list[Spec] = []
    for weights, colour in COLOURS.items():
        reward, loss = found.get(("reward", weights)), found.get(("sft_loss", weights))
        if reward is None or loss is None:
            continue
        ends = [(reward.before, loss.before), (reward.after, loss.after)]
        traces.append(_cross(stage, weights, ends if weights == RAW else ends[1:], colour))
    return traces


def _cross(stage: StageSummary, weights: str, ends: Sequence[tuple[Figure, Figure]], colour: str) -> Spec:
    rewards, losses = [reward for reward, _ in ends], [loss for _, loss in ends]
    names = ["starts", "ends"][-len(ends) :]
    head = stage_label(stage)
    hover = [
        tips(f"{head} {name}, {weights_name(weights)}, all seeds", (("reward", r), ("SFT loss", loss)))
        for name, (r, loss) in zip(names, ends, strict=True)
    ]
    marker: Spec = {"size": 9, "color": colour, "line": {"color": "@paper", "width": 1.5}}
    named = {"hoverinfo": "text", "hovertext": hover, "meta": [f"{head} {name}" for name in names]}
    return crosses(rewards, losses, "@ink", **marker) | named


def _mean_labels(means: Sequence[Spec]) -> list[Spec]:
    """The raw weights' crosses are named, those at one place together; the averaged ones share their lines' colour."""
    names: dict[tuple[float, float], list[str]] = {}
    for trace in means:
        for x, y, name in zip(trace["x"], trace["y"], trace["meta"], strict=True):
            if x is not None and y is not None and trace["marker"]["color"] == COLOURS[RAW]:
                names.setdefault((round(x, 2), round(y, 2)), []).append(name)
    return [
        label(x, y, ", ".join(found), "@ink", xanchor="left", yanchor="bottom", xshift=8, yshift=4)
        for (x, y), found in names.items()
    ]
