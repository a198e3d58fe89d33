"""A plan from rollouts in the terminal: start, parity, best stop, now; SFT loss where it was read; sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from interlace.dumps import LossPoint, PlanPoint, RolloutPlan
from interlace.estimate import Estimate, Figure, Unresolved, interval_text, value_text

ROWS = {
    "reward": ("reward\n(as sampled)", False),
    "reward_variance": ("variance\nwithin prompts", False),
    "dead_groups": ("dead groups", False),
    "parity_gap": ("above expert\n(on the curve)", True),
    "rl_time": ("RL time", False),
    "sft_loss_change": ("forecast change\nof SFT loss", True),
    "tilt": ("the tilt part\n(A10)", True),
    "implied_exchange_rate": ("what the next\nnat buys", False),
}
"""Figure of a point: its row's title, whether it has a sign. At most four points are shown, within 80 columns."""
LOSS_ROWS = {
    "sft_loss": ("SFT loss", False),
    "change": ("change", True),
    "right": ("on right\nresponses", True),
    "wrong": ("on wrong\nresponses", True),
    "tilt": ("tilt part", True),
    "off_path": ("off-path\npart", True),
    "forecast": ("forecast", True),
    "beyond": ("beyond it", True),
}


def print_rollouts(console: Console, plan: RolloutPlan) -> None:
    """Everything a reader needs first; every point is in JSON and HTML."""
    _say(console, f"{plan.rollouts}: {plan.source}")
    console.print(_points(plan))
    if plan.losses:
        console.print(_losses(plan))
    for sentence in plan.advice:
        _say(console, f"- {sentence}")
    for word, sentences in (("Condition", plan.conditions), ("Note", plan.notes), ("Not resolved", _reasons(plan))):
        for sentence in sentences:
            _say(console, f"{word}: {sentence}")


def _points(plan: RolloutPlan) -> Table:
    """A row a figure, a column a point."""
    shown = list(_shown(plan))
    table = _table("", [f"{word}\n[dim]{point.name}[/dim]" for word, point in shown])
    for name, (title, signed) in ROWS.items():
        table.add_row(title, *(_cell(getattr(point, name), signed) for _, point in shown))
    return table


def _shown(plan: RolloutPlan) -> Iterator[tuple[str, PlanPoint]]:
    """What is worth a column; a landmark stands at the point nearest to it."""
    yield "start", plan.start
    for word, step in (("parity", plan.parity), ("best stop", plan.stop)):
        if isinstance(step, Estimate):
            yield word, plan.nearest(step.value)
    if len(plan.points) > 1:
        yield "now", plan.now


def _losses(plan: RolloutPlan) -> Table:
    shown = dict.fromkeys((plan.losses[0], min(plan.losses, key=_value), plan.losses[-1]))
    points = sorted(shown, key=lambda item: item.step)
    table = _table("SFT loss as read (nats/response)", [f"step {point.step:,}" for point in points])
    for name, (title, signed) in LOSS_ROWS.items():
        table.add_row(title, *(_cell(getattr(point, name), signed) for point in points))
    return table


def _value(point: LossPoint) -> float:
    return point.sft_loss.value if isinstance(point.sft_loss, Estimate) else math.inf


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, header_style="bold",
                  padding=(0, 2, 0, 0), pad_edge=False)  # fmt: skip
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _cell(figure: Figure, signed: bool) -> str:
    if isinstance(figure, Unresolved):
        return "\u2013"
    return f"{value_text(figure, signed)}\n[dim]{interval_text(figure, signed).replace('[', chr(92) + '[')}[/dim]"


def _reasons(plan: RolloutPlan) -> tuple[str, ...]:
    """Each reason of a dash once."""
    shown = [getattr(point, name) for _, point in _shown(plan) for name in ROWS]
    shown += [getattr(point, name) for point in plan.losses[-1:] for name in LOSS_ROWS]
    return tuple(dict.fromkeys(figure.reason for figure in shown if isinstance(figure, Unresolved)))


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, soft_wrap=True)
