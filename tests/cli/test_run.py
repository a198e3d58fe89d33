"""`run` and `report` through the program: a tiny pipeline from nothing to a page, continued, refused, planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlace.dry_run.prices import COMMAND_SECONDS
from interlace.recipe import load_recipe
from interlace.store import RunStore
from tests.cli.conftest import Call

WrittenRecipe = Callable[..., Path]
TINY = ("run", "quickstart", "--profile", "tiny")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole file: the first run in it is continued by the later tests."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(autouse=True)
def _in_workplace(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def test_run_prints_the_summary_and_where_the_report_is(call: Call, workplace: Path) -> None:
    called = call(*TINY)
    assert called.code == 0
    assert "quickstart-tiny, seed 0" in called.out
    assert called.out.index("sft: ") < called.out.index("rl: ") < called.out.index("sft-2: ")
    assert "Report: runs/quickstart-tiny/report.html" in called.err
    run = workplace / "runs" / "quickstart-tiny"
    assert {"recipe.yaml", "resolved.yaml", "manifest.json", "events.jsonl", "report.html"} <= {
        p.name for p in run.iterdir()
    }
    assert load_recipe(run / "resolved.yaml").name == "quickstart-tiny"


def test_a_finished_run_prints_its_summary_again(call: Call, workplace: Path) -> None:
    events = workplace / "runs/quickstart-tiny/events.jsonl"
    before = events.read_bytes()
    called = call(*TINY, "--json")
    assert called.code == 0
    assert events.read_bytes() == before
    result = json.loads(called.out)
    assert {"schema_version", "runs", "across_seeds"} <= set(result)
    (run,) = result["runs"]
    assert (run["recipe"], run["seed"]) == ("quickstart-tiny", 0)
    assert [stage["name"] for stage in run["stages"]] == ["sft", "rl", "sft-2", "joint"]
    assert all(stage["steps_done"] == stage["steps_planned"] == 4 for stage in run["stages"])


def test_fork_of_a_run(call: Call) -> None:
    call(*TINY)  # finished by an earlier test, or now
    called = call("fork", "runs/quickstart-tiny", "--forks", "4", "--placebo", "none", "--json")
    assert called.code == 0, called.err
    forks = json.loads(called.out)["forks"]
    assert (forks["count"], forks["steps"], forks["placebo"]) == (4, 4, None)
    assert {"drift", "diffusion", "change", "unresolved"} == set(forks["parts"]["sft_loss"])
    assert "stage fork 4 of 4" in called.err
    again = call("report", "runs/quickstart-tiny", "--json")
    (run,) = json.loads(again.out)["runs"]
    assert run["stages"][1]["forks"] == [forks]


def test_fork_says_what_it_cannot_do(call: Call) -> None:
    call(*TINY)
    called = call("fork", "runs/quickstart-tiny", "--forks", "3")
    assert called.code == 2 and "at least 4" in called.err
    called = call("fork", "runs/quickstart-tiny", "--stage", "lr")
    assert called.code == 2 and "rl" in called.err
    called = call("fork", "nowhere")
    assert called.code == 3 and "must be a run folder" in called.err


def test_report_of_a_run(call: Call, workplace: Path) -> None:
    called = call("report", "runs/quickstart-tiny", "--out", "page.html", "--json")
    assert called.code == 0
    assert len(json.loads(called.out)["runs"]) == 1
    assert (workplace / "page.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_stage_is_no_run(call: Call, workplace: Path) -> None:
    called = call("report", "runs/quickstart-tiny", "rl")
    assert called.code == 2
    assert (
        "report takes whole runs and shows all of their stages. Got rl, a stage of runs/quickstart-tiny" in called.error
    )
    assert not list((workplace / "runs").glob("*.html"))


def test_runs_that_cannot_be_held_against_each_other_say_so_and_keep_their_own_reports(
    call: Call, workplace: Path
) -> None:
    own = workplace / "runs" / "quickstart-tiny" / "report.html"
    before, twice = own.read_bytes(), ("runs/quickstart-tiny", "runs/quickstart-tiny")
    called = call("report", *twice)
    assert called.code == 0 and called.err.startswith("2 runs: one report of all goes to ")
    assert f"goes to {workplace / 'runs' / 'compared.html'}; --out names a place" in called.error
    said = "quickstart-tiny has no shoot-out: a shoot-out must have every seed once. Got [0, 0]: seed 0 is in runs/"
    assert said in called.out and own.read_bytes() == before
    assert said in (workplace / "runs" / "compared.html").read_text(encoding="utf-8")
    whole = json.loads(call("report", *twice, "--json").out)
    (refused,) = whole["no_shootouts"]
    assert refused["recipe"] == "quickstart-tiny" and "every seed once" in refused["reason"] and not whole["shootouts"]


def test_an_arm_that_is_not_there_is_a_usage_error(call: Call) -> None:
    call(*TINY)
    called = call("report", "runs/quickstart-tiny", "--against", "nope")
    assert called.code == 2 and "against must be an arm, one of " in called.error and "Got 'nope'" in called.error


def test_a_run_with_nothing_measured_has_no_report_yet(call: Call, workplace: Path) -> None:
    RunStore.claim(workplace / "begun", load_recipe("quickstart").to_yaml(), "", {"recipe": "r", "seed": 0}).close()
    called = call("report", "begun")
    assert called.code == 3
    assert called.error == "Error: RUN must hold measurements. Got begun, where none is made yet. Wait for the first."
    assert not (workplace / "begun" / "report.html").exists()
    beside = call("report", "begun", "runs/quickstart-tiny", "--out", "both.html", "--json")
    assert "begun: nothing is measured yet" in beside.err
    assert len(json.loads(beside.out)["runs"]) == 1


def test_a_folder_of_another_recipe_is_refused(call: Call) -> None:
    called = call(*TINY, "--set", "stages.rl.learning_rate=1e-4")
    assert called.code == 3
    assert "runs/quickstart-tiny must hold a run of this recipe. It holds another" in called.error


def test_dry_run_trains_nothing_and_keeps_the_resolved_recipe(call: Call, workplace: Path) -> None:
    called = call("run", "quickstart", "--seeds", "3,4", "--dry-run", "--out", "runs/planned")
    assert called.code == 0
    assert "02-rl" in called.out
    assert str(load_recipe("quickstart").stage("rl").max_steps) in called.out
    for seed in (3, 4):
        folder = workplace / f"runs/planned/seed-{seed}"
        assert [item.name for item in folder.iterdir()] == ["resolved.yaml"]
        assert load_recipe(folder / "resolved.yaml").seeds == (seed,)


def test_dry_run_json(call: Call) -> None:
    plan = json.loads(call("run", "quickstart", "--dry-run", "--json", "--out", "runs/planned-2").out)["plan"]
    assert [stage["steps"] for stage in plan["stages"]] == [
        stage.max_steps for stage in load_recipe("quickstart").stages
    ]
    assert plan["num_parameters"] > 400_000


def test_dry_run_counts_forks(call: Call) -> None:
    def planned(*more: str) -> dict[str, Any]:
        called = call("run", "quickstart", "--dry-run", "--json", "--out", "runs/planned-3", *more)
        return dict(json.loads(called.out)["plan"])

    (_, rl, *_), (_, alone, *_) = planned("--set", "stages.rl.forks={count: 6}")["stages"], planned()["stages"]
    assert alone["forks"] is None
    forks = rl["forks"]
    assert (forks["count"], forks["arms"], forks["steps"]) == (6, 2, 6 * 2 * rl["steps"])
    assert forks["seconds"] > 5 * rl["seconds"]
    plan = planned("--set", "stages.rl.forks={count: 4, steps: 20, placebo: null}", "--seeds", "0,1")
    stages, forks = plan["stages"], plan["stages"][1]["forks"]
    marks = 3  # at 5, 10 and 20 steps
    assert (forks["steps"], forks["disk_bytes"]) == (4 * 20, 4 * marks * 4 * plan["num_parameters"])
    assert plan["disk_bytes"] == 2 * sum(stage["disk_bytes"] for stage in stages) + forks["disk_bytes"]
    both = 2 * (sum(stage["seconds"] for stage in stages) + forks["seconds"])
    assert plan["seconds"] == pytest.approx(COMMAND_SECONDS + both)
    shown = call("run", "quickstart", "--dry-run", "--set", "stages.rl.forks={count: 6}", "--out", "runs/planned-4").out
    assert "its forks" in shown and "6 in 2 arms" in shown
    odd = call("run", "quickstart", "--dry-run", "--set", "stages.rl.forks={steps: 7}", "--out", "runs/planned-5")
    assert odd.code == 2 and "Got 7 steps. Choose from 5, 10, 15" in odd.error and not Path("runs/planned-5").exists()


def test_the_papers_model_is_planned_without_a_network(call: Call, workplace: Path) -> None:
    rows = [f"source\t{label}\t\tSentence number {i}." for i in range(20) for label in (i % 2,)]
    (workplace / "cola.tsv").write_text("\n".join(rows))
    called = call("run", "paper-qwen3-0.6b-cola", "--dry-run", "--set", "tasks.cola.path=cola.tsv")
    assert called.code == 0
    assert "05-sft-after-rl" in called.out
    assert "Qwen/Qwen3-0.6B is not on this machine" in called.out


def test_missing_data_is_said_before_anything_is_written(call: Call, workplace: Path) -> None:
    called = call("run", "paper-qwen3-0.6b-cola", "--set", "tasks.cola.path=none.tsv", "--out", "runs/none")
    assert called.code == 3
    assert "data file none.tsv must exist" in called.error
    assert not (workplace / "runs/none").exists()


@pytest.mark.slow
def test_two_seeds_are_put_together(call: Call, write_recipe: WrittenRecipe) -> None:
    called = call("run", str(write_recipe()), "--seeds", "0,1", "--profile", "tiny", "--json")
    assert called.code == 0
    result = json.loads(called.out)
    assert [run["seed"] for run in result["runs"]] == [0, 1]
    assert {row["change"].get("scope", "this recipe") for row in result["across_seeds"]} == {"this recipe"}
    assert call("report", "runs/mini-tiny").code == 0
