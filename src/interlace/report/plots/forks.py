"""What forks say a stage's change of SFT loss is made of: drift by reward and without, diffusion, the rest (C10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from interlace.analysis.fork_words import fork_remarks
from interlace.analysis.summary import ForkSummary, RunSummary, StageSummary
from interlace.analysis.trajectory import SFT_LOSS
from interlace.estimate import Figure
from interlace.report.formatting import shorten
from interlace.report.plots.base import Chart
from interlace.report.plots.parts import Part, common_scale, parts_chart

ROWS = (
    ("change", "<b>Change of SFT loss</b>", "@ink", 0.0, "this run"),
    ("drift_by_reward", "drift by reward", "@rl", 1.25, "what the rewards pull"),
    ("reward_free_drift", "reward-free drift", "@line", 2.25, "what clip, optimizer and noise pull on average"),
    ("drift", "drift", "@rl", 1.25, "what every fork does on average"),
    ("diffusion", "diffusion", "@averaged", 3.25, "what the noise of one run adds"),
    ("unresolved", "unresolved", "@muted", 4.25, "this run\u2019s own draw, and error"),
)
"""Part, name, colour, place, meaning. Drift as a whole is shown only where no placebo divides it."""


def fork_charts(summary: RunSummary) -> list[Chart]:
    """One figure a stage and place that was forked."""
    return [_chart(number, stage, forks) for number, stage in enumerate(summary.stages) for forks in stage.forks]


def _chart(number: int, stage: StageSummary, forks: ForkSummary) -> Chart:
    parts = _parts(forks.parts.get(SFT_LOSS, {}))
    where = "" if forks.from_step == 0 else f" from step {forks.from_step}"
    title = f"{shorten(stage.name)}{where}: {forks.count} forks of {forks.steps} steps"
    chart = parts_chart(f"forks-{number}-{forks.from_step}", title, parts, common_scale(parts))
    return replace(chart, notes=(*chart.notes, *fork_remarks(forks)))


def _parts(figures: Mapping[str, Figure]) -> list[Part]:
    hidden = {"drift"} if "drift_by_reward" in figures else set()
    shown = [row for row in ROWS if row[0] in figures and row[0] not in hidden]
    return [Part(text, figures[name], colour, place, meaning) for name, text, colour, place, meaning in shown]
