"""A stage whose weights become infinite ends there; the others of its run are trained, and it is told as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlace.analysis import summarise
from interlace.analysis.shootout import shootout
from interlace.errors import TrainingError
from interlace.observer import Observer
from interlace.pipeline import run_recipe
from interlace.readback import report_on
from interlace.recipe import Recipe
from interlace.store import RunRecord, read_run
from tests.pipeline.test_runs import SMALL

ARM = {"task": "sums", "start_from": "sft", "max_steps": 3, "per_device_train_batch_size": 16, "num_generations": 8,
       "max_grad_norm": 0.0}  # fmt: skip


def arm(name: str, rate: float, mu: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"hybrid": {**ARM, "name": name, "learning_rate": rate, "method": {"name": "joint", "mu": mu}, **more}}


def recipe(*stages: dict[str, Any]) -> Recipe:
    sft = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 16, "learning_rate": 1e-3}
    return Recipe.model_validate(
        {
            "name": "far",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "heldout": 16}},
            "stages": [{"sft": sft}, *stages],
            "measure": {"every": 1},
        }
    )


FAR, FAR_SFT = arm("far", 1e38), arm("far-sft", 1e38, mu=1.0, averaged_weights={"decay": 0.5})
NEAR, OTHER = arm("near", 1e-4), arm("other", 1e-4, mu=0.2)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    (folder,) = run_recipe(recipe(FAR, FAR_SFT, NEAR, OTHER), tmp_path_factory.mktemp("run") / "far", Observer(), False)
    return read_run(folder)


def test_the_others_are_trained_and_compared_and_it_is_named(record: RunRecord) -> None:
    ended = {stage.name: (stage.finished, stage.diverged is not None) for stage in record.stages}
    assert ended == {"sft": (True, False), "far": (False, True), "far-sft": (False, True), "near": (True, False),
                     "other": (True, False)}  # fmt: skip
    found = shootout([record])
    assert {row.arm for row in found.rows} == {"near", "other"}
    assert found.missing["far"] == found.missing["far-sft"] == "it diverged in seed 0: its weights were not finite"


def test_its_summary_says_so_and_what_to_do(record: RunRecord) -> None:
    summary = summarise(record)
    assert summary.stages["far"].ending.startswith("diverged after step ") and summary.stages["far"].has_ended
    assert any("Lower the learning rate of far or set max_grad_norm" in sentence for sentence in summary.advice)
    assert "diverged after step" in report_on([record.folder]).report.read_text()


def test_the_same_command_leaves_it_as_it_is(record: RunRecord) -> None:
    before = (record.folder / "events.jsonl").read_bytes()
    run_recipe(recipe(FAR, FAR_SFT, NEAR, OTHER), record.folder, Observer(), False)
    assert (record.folder / "events.jsonl").read_bytes() == before


def test_what_needs_it_is_refused_once_the_others_are_trained(tmp_path: Path) -> None:
    after = {"hybrid": {**NEAR["hybrid"], "name": "after", "start_from": "far"}}
    with pytest.raises(TrainingError, match=r"after needs far, whose are not: a stage diverged. Lower its learning"):
        run_recipe(recipe(FAR, after, NEAR), tmp_path / "run", Observer(), False)
    ended = {stage.name: stage.finished for stage in read_run(tmp_path / "run").stages}
    assert ended == {"sft": True, "far": False, "near": True}


def test_another_failure_is_none_of_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error with finite weights is raised as it is."""
    monkeypatch.setattr("interlace.methods.joint.Joint.weights", lambda self, step: 1 / 0)
    with pytest.raises(Exception, match="division by zero"):
        run_recipe(recipe(NEAR), tmp_path / "run", Observer(), False)
