"""`plan --score`: what it refuses, and its tables."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from interlace.analysis.forecast_scores import ForecastScores, scored_forecasts, tallies
from interlace.cli.scored import print_scores
from tests.analysis.test_forecast_scores import forecast, keeping, record, value
from tests.analysis.worlds import MemoryRecord
from tests.cli.conftest import Call

__all__ = ["record"]


def test_runs_must_be_named_and_have_forecasts(call: Call, tmp_path: Path) -> None:
    called = call("plan", "--score")
    assert called.code == 2 and "--score must be told which runs. Got none" in called.error
    called = call("plan", "--score", str(tmp_path / "nowhere"))
    assert called.code == 3 and "nowhere" in called.error


@pytest.mark.parametrize("option", [("--html", "a.html"), ("--task", "rows.jsonl"), ("--exchange-rate", "1")])
def test_other_options_say_nothing_to_finished_runs(call: Call, option: tuple[str, str]) -> None:
    called = call("plan", "--score", "runs/a", *option)
    assert called.code == 2 and f"--score takes runs, --all, --again and --json alone. Got {option[0]}" in called.error


def test_one_checkpoint_is_planned_from(call: Call) -> None:
    called = call("plan", "a", "b")
    assert called.code == 2 and "plan starts from one checkpoint. Got 2: a, b." in called.error


def test_tables_say_what_was_forecast_and_what_came(record: MemoryRecord) -> None:
    truth = value(record, 60, "sft_loss")
    kept = keeping(record, forecast(15, truth + 0.5, ((0.0, 1.0), (1.0, 1.0)), 0.1))
    scored = scored_forecasts(kept)
    console = Console(width=120, record=True, file=io.StringIO())
    silent = {"runs/other": "it has no RL stage yet"}
    found = ForecastScores(tuple(scored), tuple(tallies(scored)), silent)
    print_scores(console, found, is_whole=True)
    shown = console.export_text()
    for words in ("SFT loss as runs forecast it", "Skill against baselines", "One by one", "at the end", "20%",
                  "persistence", "rl of made-up", f"{truth:.3f}", "outside", "Left out: runs/other"):  # fmt: skip
        assert words in shown, words
    print_scores(console, found)
    short = console.export_text()
    assert "One by one" not in short and "--all shows every forecast" in short and "Left out: runs/other" in short
    (line,) = [line for line in short.splitlines() if "rl of made-up" in line]
    assert "within" in line and "0 of 1 held" in short


def test_all_goes_with_score(call: Call) -> None:
    called = call("plan", "--rollouts", "example", "--all")
    assert called.code == 2 and "--all goes with --score" in called.error
