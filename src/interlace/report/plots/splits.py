"""Where a stage's change of SFT loss came from: right or wrong expert responses (A11), along or off the tilt (A10)."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import RunSummary, Split, StageSummary
from interlace.report.formatting import shorten, weights_name
from interlace.report.plots.base import Chart, value_of
from interlace.report.plots.parts import Part, common_scale, parts_chart


def split_charts(summary: RunSummary) -> list[Chart]:
    """One figure a stage and kind of weights, on one scale within a stage; RL stages first."""
    charts = [(stage.kind != "rl", _stage_charts(place, stage)) for place, stage in enumerate(summary.stages)]
    return [chart for _, of_stage in sorted(charts, key=lambda entry: entry[0]) for chart in of_stage]


def _stage_charts(place: int, stage: StageSummary) -> list[Chart]:
    parts = {weights: _parts(stage, weights, split) for weights, split in stage.split.items()}
    known = {weights: items for weights, items in parts.items() if _says_anything(items)}
    scale = common_scale([item for items in known.values() for item in items])
    titles = {weights: f"{shorten(stage.name)}, {weights_name(weights)} weights" for weights in known}
    return [parts_chart(f"split-{place}-{weights}", titles[weights], items, scale) for weights, items in known.items()]


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
