"""`measure` through the program: a run's stages, the line, a gate, JSON, CSV and the page."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Call

RUN = "runs/quickstart-tiny"
SMALL = ("--set", "tasks.sums.train_prompts=100", "--set", "tasks.sums.heldout=40")
TASK = "addition:train_prompts=100,heldout=32"
FEW = ("--prompts", "32")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole file; the first test to need it trains a tiny run there."""
    return tmp_path_factory.mktemp("measured")


@pytest.fixture(autouse=True)
def _in_workplace(workplace: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.chdir(workplace)
    if not Path(RUN).exists():
        assert call("run", "quickstart", "--profile", "tiny", *SMALL).code == 0


def test_a_run_is_measured_on_its_own_tasks(call: Call) -> None:
    called = call("measure", RUN, *FEW, "--json")
    assert called.code == 0
    found = json.loads(called.out)
    assert [item["name"] for item in found["checkpoints"]] == ["model", "sft", "rl", "sft-2", "joint (hybrid)"]
    assert found["tasks"] == ["sums"]
    assert {(item["from"], item["to"]) for item in found["differences"]} == {
        ("model", "sft"), ("model", "rl"), ("model", "sft-2"), ("model", "joint (hybrid)"), ("sft", "rl"),
        ("rl", "sft-2"), ("sft-2", "joint (hybrid)")
    }  # fmt: skip


def test_checkpoints_of_two_runs_say_whose_tasks_they_are_measured_on(call: Call) -> None:
    if not Path("runs/other").exists():
        assert (
            call(
                "run",
                "quickstart",
                "--profile",
                "tiny",
                *SMALL,
                "--set",
                "stages.sft.learning_rate=1e-3",
                "--out",
                "runs/other",
            ).code
            == 0
        )
    ends = f"{RUN}/stages/01-sft", "runs/other/stages/01-sft"
    called = call("measure", *(f"{name}={end}" for name, end in zip("ab", ends, strict=True)), *FEW)
    assert called.code == 0
    assert f"all on sums of {Path(RUN).absolute()}, the first checkpoint's run; --task names others" in called.error
    assert "Tasks:" not in call("measure", *ends, "--task", f"{RUN}/sums", *FEW).error
    assert "Tasks:" not in call("measure", ends[0], *FEW).error


def test_a_stages_series_is_measured_on_the_runs_tasks(call: Call) -> None:
    called = call("measure", f"{RUN}/stages/01-sft", f"{RUN}/stages/01-sft/averaged", *FEW)
    assert called.code == 0
    assert "sft step 4" in called.out and "sft/averaged" in called.out
    assert "Recommended: " in called.out


def test_a_task_in_words_and_a_gate(call: Call) -> None:
    ends = (f"{RUN}/stages/00-model", f"{RUN}/stages/01-sft")
    passed = call("measure", *ends, "--task", f"sums={TASK}", "--fail-on", "sft_loss.increase > 0.02")
    assert passed.code == 0
    failed = call("measure", *ends, "--task", f"{RUN}/sums", *FEW, "--fail-on", "sft_loss.decrease > 0.02", "--json")
    assert failed.code == 4
    assert json.loads(failed.out)["schema_version"]
    assert failed.error.startswith("Failed: sft_loss.decrease > 0.02: sft step 4 against model on sums, ")


def test_the_line_its_blend_and_the_files(call: Call, workplace: Path) -> None:
    ends = (f"before={RUN}/stages/00-model", f"after={RUN}/stages/01-sft/averaged")
    called = call("measure", *ends, *FEW, "--between", "1", "--write", "blend", "--html", "page.html", "--csv", "f.csv")
    assert called.code == 0
    assert "the straight line from before (0) to after (1)" in called.out
    assert called.err.split("\n")[-4:-1] == ["Page: page.html", "Figures: f.csv", "Blend: blend"]
    again = call("measure", "blend", "--task", f"{RUN}/sums", *FEW, "--json")
    assert again.code == 0
    kinds = {row["kind"] for row in csv.DictReader(Path("f.csv").read_text().splitlines())}
    assert kinds == {"cell", "difference", "line cell", "line difference"}
    used = call("measure", *ends, "--between", "1", "--write", "blend")
    assert (used.code, used.out) == (2, "")
    assert "--write must name a new or empty folder" in used.error


def test_the_full_preset_prints_what_is_worth_a_row_and_keeps_the_rest_in_files(call: Call) -> None:
    ends = (f"{RUN}/stages/00-model", f"{RUN}/stages/01-sft")
    tasks = ("--task", f"sums={TASK}", "--task", f"others={TASK},expert_error=0")
    called = call(
        "measure", *ends, *tasks, "--preset", "full", "--prompts", "16", "--csv", "all.csv", "--html", "all.html"
    )
    assert called.code == 0
    assert "What a unit of reward costs in SFT loss" in called.out and "SFT loss on others" in called.out
    assert "layers." not in called.out and len(called.out.splitlines()) < 90
    rows = [row for row in csv.DictReader(Path("all.csv").read_text().splitlines()) if row["kind"] == "figure"]
    assert {"gradient_cosine/layers.0", "linearised_cost/others", "smoothness"} <= {row["objective"] for row in rows}
    assert "Cosine of both gradients, layer by layer" in Path("all.html").read_text()


def test_files_that_cannot_be_written_are_said_first(call: Call) -> None:
    assert "--html must name a .html file. Got page.txt" in call("measure", RUN, "--html", "page.txt").error
    assert "--csv must lie in a folder that is there" in call("measure", RUN, "--csv", "no/such.csv").error
    Path("folder.html").mkdir(exist_ok=True)
    assert "--html must name a file. Got the folder folder.html" in call("measure", RUN, "--html", "folder.html").error
    nowhere = call("measure", RUN, "--csv", "/proc/f.csv")
    assert (nowhere.code, nowhere.out) == (3, "") and "--csv must name a place that can be written" in nowhere.error
    ends = (f"{RUN}/stages/00-model", f"{RUN}/stages/01-sft", "--between", "1")
    Path("file").touch()
    assert "--write must name a place that can be written" in call("measure", *ends, "--write", "file/blend").error


def test_what_stops_while_it_is_written_leaves_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("interlace.checkpoints.blend.seal_checkpoint", stops)
    before = set(Path().iterdir())
    ends = (f"{RUN}/stages/00-model", f"{RUN}/stages/01-sft", "--between", "1", *FEW)
    called = call("measure", *ends, "--write", "stopped", "--csv", "stopped.csv")
    assert (called.code, called.out) == (
        130,
        "",
    ) and "Interrupted: measuring was stopped before its end" in called.error
    assert set(Path().iterdir()) == before


def test_a_checkpoint_named_twice_and_a_series_in_order(call: Call) -> None:
    for step, source in ((2, "01-sft/averaged"), (10, "03-sft-2/checkpoint-4"), (1, "01-sft/checkpoint-4")):
        shutil.copytree(f"{RUN}/stages/{source}", f"series/checkpoint-{step}")
    asked = ("measure", "series", "series/checkpoint-10", "--task", f"{RUN}/sums", "--prompts", "12")
    called = call(*asked, "--json")
    assert called.code == 0
    found = json.loads(called.out)
    assert [item["name"] for item in found["checkpoints"]] == ["checkpoint-1", "checkpoint-2", "checkpoint-10"]
    assert found["checkpoints"][2]["also"] == ["series/checkpoint-10"]
    assert "Listed once: checkpoint-10 holds the weights of series/checkpoint-10 too" in call(*asked).out
