"""What forks say a stage's changes are made of: drift by reward and without, diffusion, the rest (C10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlace.analysis.fork_words import fork_remarks
from interlace.analysis.summary import ForkSummary, RunSummary, StageSummary
from interlace.estimate import Figure
from interlace.report.formatting import OBJECTIVES, shorten
from interlace.report.plots.base import Chart
from interlace.report.plots.parts import Part, common_scale, parts_chart
from interlace.wording import counted

ROWS = (
    ("drift_by_reward", "drift by reward", "@rl", 1.25, "what the rewards pull"),
    ("reward_free_drift", "reward-free drift", "@line", 2.25, "what clip, optimizer and noise pull on average"),
    ("drift", "drift", "@rl", 1.25, "what every fork does on average"),
    ("diffusion", "diffusion", "@averaged", 3.25, "what the noise of one run adds"),
    ("unresolved", "the rest", "@muted", 4.25, "this run\u2019s own draw, and error"),
)
"""Part, name, colour, place, meaning. Drift as a whole is shown only where no placebo divides it."""


@dataclass(frozen=True, slots=True)
class ForkView:
    """One place of a stage that was forked: what follows from it, a figure an objective, and what else is to know."""

    title: str
    conclusions: tuple[str, ...]
    charts: tuple[Chart, ...]
    remarks: tuple[str, ...]


def fork_views(summary: RunSummary) -> list[ForkView]:
    """One a stage and place that was forked."""
    return [_view(number, stage, forks) for number, stage in enumerate(summary.stages) for forks in stage.forks]


def _view(number: int, stage: StageSummary, forks: ForkSummary) -> ForkView:
    where = "" if forks.from_step == 0 else f" from step {forks.from_step}"
    title = f"{shorten(stage.name)}{where}: {counted(forks.count, 'fork')} of {counted(forks.steps, 'step')}"
    charts = tuple(_chart(f"forks-{number}-{forks.from_step}-{name}", name, forks) for name in forks.parts)
    return ForkView(title, forks.conclusions, charts, tuple(fork_remarks(forks)))


def _chart(identifier: str, objective: str, forks: ForkSummary) -> Chart:
    name, unit = OBJECTIVES[objective]
    lower = name if name.startswith("SFT") else name.lower()
    parts = _parts(forks.parts[objective], (("change", f"<b>Change of {lower}</b>", "@ink", 0.0, "this run"), *ROWS))
    title = f"{name}, after {forks.steps:,} of {counted(forks.stage_steps, 'step')}"
    return parts_chart(identifier, title, parts, common_scale(parts), unit.replace("/", " per "))


def _parts(figures: Mapping[str, Figure], rows: tuple[tuple[str, str, str, float, str], ...]) -> list[Part]:
    hidden = {"drift"} if "drift_by_reward" in figures else set()
    shown = [row for row in rows if row[0] in figures and row[0] not in hidden]
    return [Part(text, figures[name], colour, place, meaning) for name, text, colour, place, meaning in shown]
