"""What a run shows while it goes."""

from __future__ import annotations

import io

from rich.console import Console

from interlace.cli.progress import TerminalObserver, live_figures
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import AVERAGED, RAW, Point


def figure(value: float) -> Estimate:
    return Estimate(value, value, value, 0.95, 10, "exact", "")


def watched(terminal: bool) -> str:
    stream = io.StringIO()
    with TerminalObserver(Console(file=stream, force_terminal=terminal, width=120)) as observer:
        observer.run_started("runs/x", 3)
        observer.stage_started("01-sft", "sft", "sft", 20, 5)
        observer.measured(Point("01-sft", 5, "sums"), {"sft_loss": figure(0.657), "reward": figure(0.571)})
        observer.measured(Point("01-sft", 5, "sums", AVERAGED), {"sft_loss": figure(9.0)})
        observer.step("01-sft", 6)
        observer.note("01-sft: a checkpoint was skipped")
        observer.stage_finished("01-sft")
    return stream.getvalue()


def test_lines_where_there_is_no_terminal() -> None:
    assert watched(terminal=False).splitlines() == [
        "seed 3 in runs/x",
        "01-sft: 20 steps, 5 done before",
        "01-sft: step 5  SFT loss 0.657  reward 0.571",
        "01-sft: a checkpoint was skipped",
        "01-sft: finished",
    ]


def test_a_bar_with_both_figures_in_a_terminal() -> None:
    shown = watched(terminal=True)
    assert "01-sft" in shown
    assert "20/20" in shown
    assert "SFT loss 0.657  reward 0.571" in shown
    assert "9.000" not in shown


def test_several_tasks_are_named() -> None:
    stream = io.StringIO()
    with TerminalObserver(Console(file=stream, width=120)) as observer:
        observer.stage_started("01-sft", "sft", "sft", 1, 0)
        observer.measured(Point("01-sft", 0, "sums", RAW), {"reward": figure(0.5)})
        observer._last_line = 0.0
        observer.measured(Point("01-sft", 0, "cola", RAW), {"reward": figure(0.25)})
    assert "sums: reward 0.500  cola: reward 0.250" in stream.getvalue()


def test_what_was_not_measured_is_left_out() -> None:
    figures: dict[str, Figure] = {"sft_loss": Unresolved("no expert"), "reward": figure(0.5)}
    assert live_figures(figures) == "reward 0.500"
    assert live_figures({}) == ""
