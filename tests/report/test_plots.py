"""Figures draw what was measured: gaps where nothing was, never a 0, no markup from outside."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from interlace.analysis.summary import RunSummary, Stages
from interlace.encoding import dumps
from interlace.estimate import Unresolved
from interlace.report.plots import Chart, curves_charts, fork_views, plane_charts, seeds_charts, split_charts
from interlace.report.plots.base import padded, plot_text, ribbon
from interlace.report.plots.pipeline import place, since_rl
from interlace.store import RunRecord
from tests.report.examples import RL_LOSS, RL_REWARD, controls_summary, facts_summary, figure, fork_summary


def all_charts(summary: RunSummary) -> list[Chart]:
    return [*curves_charts(summary), *plane_charts(summary), *split_charts(summary)]


def texts(node: Any) -> Iterator[str]:
    """Every string that plotly would read as markup."""
    if isinstance(node, dict):
        for key, item in node.items():
            yield from [item] if key == "text" and isinstance(item, str) else texts(item)
            yield from item if key == "hovertext" else ()
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)


def test_stages_are_laid_end_to_end(summary: RunSummary) -> None:
    assert [(item.start, item.end) for item in place(summary)] == [(0, 300), (300, 400), (400, 500)]


def test_an_unfinished_stage_is_as_long_as_it_was_measured(summary: RunSummary) -> None:
    rl = dataclasses.replace(summary.stages["rl"], steps_done=95)
    edited = dataclasses.replace(summary, stages=Stages((summary.stages["sft"], rl)))
    assert place(edited)[-1].end == 400


def test_the_plane_begins_with_the_first_rl_stage(summary: RunSummary) -> None:
    assert [item.stage.name for item in since_rl(place(summary))] == ["rl", "sft-2"]


def test_the_raw_path_is_drawn_through_the_measured_points(summary: RunSummary) -> None:
    (chart,) = plane_charts(summary)
    path = next(trace for trace in chart.data if trace.get("line", {}).get("color") == "@rl")
    assert path["x"] == RL_REWARD
    assert path["y"] == RL_LOSS


@pytest.mark.parametrize(
    ("kind", "name"),
    [("sft", "SFT stages"), ("preference", "preference (DPO, KTO) stages"), ("training", "other training stages")],
)
def test_stages_that_are_no_rl_are_called_by_their_kind(summary: RunSummary, kind: str, name: str) -> None:
    last = dataclasses.replace(summary.stages["sft-2"], kind=kind)
    edited = dataclasses.replace(summary, stages=Stages((summary.stages["rl"], last)))
    (chart,) = plane_charts(edited)
    assert [key.text for key in chart.keys if key.colour == "sft"] == [name]


def test_both_curves_lie_on_the_shared_axis(summary: RunSummary) -> None:
    (chart,) = curves_charts(summary)
    lines = [trace for trace in chart.data if trace["mode"] == "lines+markers"]
    assert {trace["yaxis"] for trace in lines} == {"y", "y2"}
    assert max(x for trace in lines for x in trace["x"]) == 500
    assert chart.layout["yaxis"]["range"][1] < 2.0, "the RL stage sets the scale, not the first step of SFT"
    assert any("12.13 at step 0" in note["text"] for note in chart.layout["annotations"])


def test_parity_and_the_experts_reward_are_marked(summary: RunSummary) -> None:
    (chart,) = curves_charts(summary)
    assert any(shape.get("x0") == pytest.approx(317.4) for shape in chart.layout["shapes"])
    assert any("parity" in note["text"] for note in chart.layout["annotations"])
    assert any("0.752" in note["text"] for note in chart.layout["annotations"])


def test_what_was_not_resolved_is_a_gap(summary: RunSummary) -> None:
    rl = summary.stages["rl"]
    raw = rl.curves[0]
    gap = dataclasses.replace(raw, sft_loss=(*raw.sft_loss[:4], Unresolved("not measured"), *raw.sft_loss[5:]))
    edited = dataclasses.replace(summary, stages=Stages((dataclasses.replace(rl, curves=(gap, *rl.curves[1:])),)))
    (chart,) = plane_charts(edited)
    path = next(trace for trace in chart.data if trace.get("line", {}).get("color") == "@rl")
    assert path["y"][4] is None
    assert path["connectgaps"] is False


def test_a_ribbon_breaks_where_nothing_is_known() -> None:
    figures = (figure(1.0, 0.1), Unresolved("gone"), figure(2.0, 0.1), figure(3.0, 0.1))
    band = ribbon([0.0, 1.0, 2.0, 3.0], figures, "@sft-ribbon")
    stretches = [list(group) for known, group in itertools.groupby(band["x"], lambda x: x is not None) if known]
    assert stretches == [[0.0, 0.0], [2.0, 3.0, 3.0, 2.0]]


def test_the_splits_show_parts_and_the_whole(summary: RunSummary) -> None:
    chart = next(chart for chart in split_charts(summary) if chart.name == "split-1-raw")
    total, right, wrong, tilt, off_path = chart.data[0]["x"]
    assert right + wrong == pytest.approx(total)
    assert tilt + off_path == pytest.approx(total)


def test_forks_show_parts_that_add_up(summary: RunSummary) -> None:
    forked = dataclasses.replace(summary.stages["rl"], forks=(fork_summary(),))
    (view,) = fork_views(dataclasses.replace(summary, stages=Stages((summary.stages["sft"], forked))))
    (chart, reward) = view.charts
    assert chart.data[0]["x"] == [0.318, 0.35, -0.06, 0.02, 0.008]  # the whole, then its parts; drift is divided
    assert sum(chart.data[0]["x"][1:]) == pytest.approx(chart.data[0]["x"][0])
    assert reward.title == "Reward, after 100 of 400 steps" and "Change of reward" in reward.description
    assert any("a control, not a bound" in note for note in view.remarks)
    assert any("50 steps +0.01" in note for note in view.remarks)
    assert view.conclusions == ("Change of SFT loss over 100 of the stage's 400 steps: the reward's pull made +0.35.",)


def test_a_run_without_forks_has_no_figure_of_them(summary: RunSummary) -> None:
    assert fork_views(summary) == []


def test_a_stage_whose_split_is_unknown_is_left_out(summary: RunSummary) -> None:
    rl = summary.stages["rl"]
    none = Unresolved("the reward is not binary")
    split = {"raw": dataclasses.replace(rl.split["raw"], right=none, wrong=none, tilt=none, off_path=none)}
    edited = dataclasses.replace(summary, stages=Stages((dataclasses.replace(rl, split=split),)))
    assert split_charts(edited) == []


def test_a_part_that_is_unknown_is_said_under_its_figure(summary: RunSummary) -> None:
    rl = summary.stages["rl"]
    split = {"raw": dataclasses.replace(rl.split["raw"], off_path=Unresolved("log Z has ESS 1.8"))}
    edited = dataclasses.replace(summary, stages=Stages((dataclasses.replace(rl, split=split),)))
    (chart,) = split_charts(edited)
    assert chart.data[0]["x"][-1] is None
    assert chart.notes == ("off that path: not resolved: log Z has ESS 1.8",)


def test_every_seed_has_its_path_and_the_means_their_crosses() -> None:
    summaries = [facts_summary(seed) for seed in range(3)]
    (chart,) = seeds_charts(summaries)
    assert sum(trace["mode"] == "lines" for trace in chart.data) == 6
    assert [len(trace["x"]) for trace in chart.data if trace["mode"] == "markers"] == [2, 1]


def test_the_controls_have_their_own_stroke_and_name() -> None:
    summaries = [make(seed) for make in (facts_summary, controls_summary) for seed in (1, 2)]
    (chart,) = seeds_charts(summaries)
    dashes = [trace["line"]["dash"] for trace in chart.data if trace["mode"] == "lines"]
    assert dashes == ["solid"] * 4 + ["dot"] * 4
    assert [(key.text, key.stroke) for key in chart.keys][2:4] == [
        ("quickstart: rl", "solid"),
        ("quickstart-controls: placebo (control)", "dotted"),
    ]
    labels = [note["text"] for note in chart.layout["annotations"]]
    assert "rl starts, placebo (control) starts" in labels, "both begin at the same weights"


def test_runs_that_cannot_be_averaged_have_paths_alone() -> None:
    summaries = [facts_summary(), dataclasses.replace(facts_summary(), recipe="another")]
    (chart,) = seeds_charts(summaries)
    assert {trace["mode"] for trace in chart.data} == {"lines"}


def test_the_plane_has_room_for_the_predicted_curve(summary: RunSummary) -> None:
    rl = summary.stages["rl"]
    far = dataclasses.replace(rl.curve("predicted"), sft_loss=(figure(3.0, 0.1),) * len(RL_LOSS))
    edited = dataclasses.replace(summary, stages=Stages((dataclasses.replace(rl, curves=(*rl.curves[:3], far)),)))
    (chart,) = plane_charts(edited)
    assert chart.layout["yaxis"]["range"][1] > 3.1


def test_no_label_carries_markup_from_outside(hostile: tuple[RunRecord, RunSummary]) -> None:
    for chart in all_charts(hostile[1]):
        for text in texts([chart.data, chart.layout, chart.narrow]):
            assert "<img" not in text
            assert "<script" not in text


def test_specs_are_strict_json(hostile: tuple[RunRecord, RunSummary]) -> None:
    for chart in all_charts(hostile[1]):
        json.loads(dumps(chart.spec), parse_constant=pytest.fail)


def test_label_text_is_escaped_once() -> None:
    assert plot_text("a<b> & c") == "a&lt;b&gt; &amp; c"


@pytest.mark.parametrize("values", [[], [None], [2.0, 2.0], [float("inf"), 1.0]])
def test_a_range_is_never_empty(values: list[float | None]) -> None:
    low, high = padded(values)
    assert low < high
