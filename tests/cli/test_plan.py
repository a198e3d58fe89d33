"""`plan` through the program: the example, JSON, the page, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

EXAMPLE = ("plan", "--rollouts", "example")


def test_the_example_is_a_table_and_sentences(call: Call) -> None:
    called = call(*EXAMPLE, "--exchange-rate", "0.5")
    assert called.code == 0
    for words in (
        "start",
        "parity",
        "best stop",
        "now",
        "(as sampled)",
        "(on the curve)",
        "on the curve through all points",
        "step 100",
        "SFT loss as read",
        "If a nat is worth 0.5 reward",
    ):
        assert words in called.out, words
    assert "(unlearning that the reward asks for, A11)" in called.out


def test_headers_are_whole_at_80_columns(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = call(*EXAMPLE, "--exchange-rate", "0.5").out.splitlines()
    assert sum(line.split() == ["start", "parity", "best", "stop", "now"] for line in lines) == 1
    for words in ("forecast change", "what the next", "within prompts", "responses", "beyond it"):
        assert any(line.startswith(words) for line in lines), words
    ends = [line for line in lines if line.count("[") == 4 and not line.startswith("-")]
    assert len(ends) == 4 and all(line.count("]") == 4 for line in ends)  # no interval is broken


def test_json_alone_on_stdout(call: Call) -> None:
    called = call(*EXAMPLE, "--json")
    found = json.loads(called.out)
    assert found["schema_version"] == 1 and len(found["forecasts"][0]["curve"]) == 21
    assert set(found["expert_reward"]) >= {"value", "lower", "upper", "level", "n", "method", "unit"}


def test_a_page_is_written_and_a_wrong_place_refused_first(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*EXAMPLE, "--html", "plan.html").code == 0
    assert Path("plan.html").read_text(encoding="utf-8").count("<h1>") == 1
    assert call(*EXAMPLE, "--html", "plan.txt").code == 2
    assert call(*EXAMPLE, "--html", "no/plan.html").code == 3


def test_what_is_missing_is_said(call: Call) -> None:
    called = call("plan")
    assert called.code == 2 and "plan must be told what to plan from" in called.error
    called = call("plan", "--rollouts", "nowhere")
    assert called.code == 3 and "--rollouts must be a file or a folder that is there. Got nowhere" in called.error
