"""Merge stages in whole runs: SFT, RL twice from it, their merge, and what starts from it; killed and continued."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import interlace
from interlace.analysis import summarise
from interlace.analysis.coupling import coupling_table
from interlace.dry_run import plan_recipe
from interlace.errors import RunFolderError
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, BLENDED, LINE, RAW, Point
from interlace.observer import Observer
from interlace.pipeline import run_recipe
from interlace.policies import load_policy
from interlace.readback import write_report
from interlace.recipe import Recipe
from interlace.store import RunStore, StageRecord, read_run, verify_checkpoint
from tests.pipeline.test_runs import SMALL, StopAt, figures

RL = {
    "task": "sums",
    "start_from": "sft",
    "max_steps": 3,
    "per_device_train_batch_size": 32,
    "num_generations": 8,
    "learning_rate": 1e-2,
    "averaged_weights": {"decay": 0.5},
}
MERGE = {"task": "sums", "start_from": "sft"}


def recipe(*more: dict[str, dict[str, object]], **changes: object) -> Recipe:
    sft = {"task": "sums", "max_steps": 40, "per_device_train_batch_size": 32, "learning_rate": 1e-2}
    return Recipe.model_validate(
        {
            "name": "merged",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 32}},
            "stages": [
                {"sft": {**sft, "measure_every": 40}},
                {"rl": {**RL, "name": "one"}},
                {"rl": {**RL, "name": "two", "replicate": 1}},
                *more,
            ],
            "measure": {"every": 2},
            **changes,
        }
    )


MEAN = {"merge": {**MERGE, "name": "mean", "of": ["one", {"stage": "two", "weights": "averaged"}]}}
WARP = {"merge": {**MERGE, "name": "warp", "of": ["one", "two"], "how": "slerp", "blend": {"position": 0.5}}}
AFTER = {"sft": {"task": "sums", "name": "after", "max_steps": 1, "learning_rate": 1e-2}}
AGAIN = {"rl": {**RL, "name": "again"}}
WHOLE = recipe(AGAIN, MEAN, WARP, AFTER)


class KillAt(Observer):
    """Ends the process's work at the first figure of a merge under one kind of weights."""

    def __init__(self, stage: str, kind: str) -> None:
        self.at = (stage, kind)

    def measured(self, point: Point, figures: Mapping[str, Figure]) -> None:
        if (point.stage, point.weights) == self.at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(WHOLE, tmp_path_factory.mktemp("whole") / "a run")[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, killed before the first figure of the first merge: what merges need is there."""
    folder = tmp_path_factory.mktemp("trained") / "a run"
    with pytest.raises(KeyboardInterrupt):
        run_recipe(WHOLE, folder, KillAt("05-mean", RAW))
    return folder


def weights(folder: Path, stage: str, name: str = "") -> dict[str, np.ndarray]:
    last = name or next((folder / "stages" / stage).glob("checkpoint-*")).name
    model = load_policy(str(folder / "stages" / stage / last)).model
    return {key: weight.detach().double().numpy() for key, weight in model.named_parameters()}


def stage(folder: Path, name: str) -> StageRecord:
    return next(each for each in read_run(folder).stages if each.name == name)


def value(folder: Path, name: str, step: int, quantity: str, kind: str = RAW, position: float | None = None) -> float:
    record = stage(folder, name)
    point = Point(record.stage, step, "sums", kind, position)
    figure = figures(read_run(folder))[point, quantity]
    assert isinstance(figure, Estimate)
    return figure.value


def test_a_merge_ends_with_a_sealed_checkpoint_of_the_merged_weights(whole: Path) -> None:
    one, two = weights(whole, "02-one"), weights(whole, "03-two", "averaged")
    found = weights(whole, "05-mean")
    for name in found:
        np.testing.assert_allclose(found[name], (one[name] + two[name]) / 2, atol=1e-6)
    folder = whole / "stages" / "05-mean" / "checkpoint-1"
    assert verify_checkpoint(folder) is None and not (folder / "optimizer.pt").exists()


def on_arc(base: np.ndarray, one: np.ndarray, two: np.ndarray, position: float) -> np.ndarray:
    """The place on the line from the base to the middle of the arc between both ends, by the definition."""
    first, second = one - base, two - base
    angle = np.arccos((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))
    return base + position * np.sin(angle / 2) * (first + second) / np.sin(angle)


def test_a_blend_goes_back_towards_the_base(whole: Path) -> None:
    base, one, two = (weights(whole, name) for name in ("01-sft", "02-one", "03-two"))
    found = weights(whole, "06-warp")
    for name in found:
        np.testing.assert_allclose(found[name], on_arc(base[name], one[name], two[name], 0.5), atol=1e-5)


def test_both_objectives_are_measured_at_the_base_and_at_what_the_merge_ends_with(whole: Path) -> None:
    for quantity in ("sft_loss", "reward"):
        for name in ("mean", "warp"):
            assert value(whole, name, 0, quantity) == pytest.approx(value(whole, "sft", 40, quantity), abs=1e-5)
        halfway = value(whole, "warp", 1, quantity, LINE, 0.5)
        assert value(whole, "after", 0, quantity) == pytest.approx(halfway, abs=1e-5)
    positions = [point.position for point in read_run(whole).points("05-mean", "sums", LINE)]
    assert positions == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(("kind", "position"), [(RAW, 1.0), (BLENDED, 0.5)])
def test_a_blended_merge_has_the_merge_as_raw_and_the_place_on_the_line_as_blended(
    whole: Path, tmp_path: Path, kind: str, position: float
) -> None:
    base, one, two = (weights(whole, name) for name in ("01-sft", "02-one", "03-two"))
    policy = load_policy(str(next((whole / "stages" / "01-sft").glob("checkpoint-*"))))
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            weight.copy_(torch.tensor(on_arc(base[name], one[name], two[name], position)))
    policy.model.save_pretrained(tmp_path / "made")
    policy.tokenizer.save_pretrained(tmp_path / "made")
    wanted = interlace.measure(tmp_path / "made", f"{whole}/sums")
    told = interlace.summarise(whole).stages["warp"]
    for quantity in ("sft_loss", "reward"):
        found, made = told.objective(quantity, kind).after, wanted.figure("made", quantity)
        assert isinstance(found, Estimate) and isinstance(made, Estimate)
        assert found.value == pytest.approx(made.value, abs=1e-4)
        other = told.objective(quantity, RAW if kind == BLENDED else BLENDED).after
        assert isinstance(other, Estimate) and abs(other.value - made.value) > 1e-3


def test_the_ledger_of_a_merge_has_no_training_in_it(whole: Path) -> None:
    for name in ("mean", "warp"):
        record = stage(whole, name)
        spent = ("optimizer_steps", "tokens_sampled", "tokens_forward", "tokens_backward", "flops", "expert_examples")
        assert record.finished and [record.ledger[key] for key in spent] == [0] * 6
        assert record.spent == {} and (record.steps_planned, record.steps_done) == (1, 1)
    assert [plan.steps for plan in plan_recipe(WHOLE, whole).stages] == [40, 3, 3, 3, 0, 0, 1]


@pytest.mark.parametrize(
    "kill",
    [StopAt("05-mean", 1), KillAt("05-mean", RAW), KillAt("05-mean", LINE), KillAt("06-warp", LINE)],
    ids=["before its checkpoint", "at its start", "after its checkpoint", "before its blend"],
)
def test_a_merge_that_was_killed_ends_as_if_nothing_had_happened(
    whole: Path, trained: Path, tmp_path: Path, kill: Observer
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(WHOLE, tmp_path, kill)
    run_recipe(WHOLE, tmp_path)
    for name in ("05-mean", "06-warp", "07-after"):
        once, twice = weights(whole, name), weights(tmp_path, name)
        assert all(np.array_equal(once[key], twice[key]) for key in once)
    assert figures(read_run(whole)) == figures(read_run(tmp_path))


def test_a_merge_that_was_killed_after_its_blend_is_measured_blended(
    whole: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    write = RunStore.event

    def killed(store: RunStore, kind: str, **fields: object) -> None:
        if (kind, fields.get("stage")) == ("blended", "06-warp"):
            raise KeyboardInterrupt
        write(store, kind, **fields)

    monkeypatch.setattr(RunStore, "event", killed)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(WHOLE, tmp_path)
    monkeypatch.undo()
    run_recipe(WHOLE, tmp_path)
    assert figures(read_run(whole)) == figures(read_run(tmp_path))


def test_stages_of_one_replicate_are_the_same_and_of_another_are_not(whole: Path) -> None:
    one, two, again = (weights(whole, name) for name in ("02-one", "03-two", "04-again"))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert any(not np.array_equal(one[name], two[name]) for name in one)
    record = read_run(whole)
    starts = [figures(record)[Point(stage, 0, "sums"), "sft_loss"] for stage in ("02-one", "03-two")]
    assert starts[0] == starts[1]  # what is measured does not depend on what training draws


def test_a_merge_has_a_row_of_the_coupling_table_and_a_place_in_the_report(tmp_path: Path) -> None:
    folders = run_recipe(recipe(MEAN, seeds=[0, 1]), tmp_path)
    rows = {(row.arm, row.weights): row for row in coupling_table([summarise(read_run(folder)) for folder in folders])}
    row = rows["mean", RAW]
    assert (row.kind, row.started_from, row.num_seeds) == ("merge", "sft", 2) and ("mean", AVERAGED) not in rows
    assert isinstance(row.sft_loss_change, Estimate) and isinstance(row.reward_change, Estimate)
    page = write_report(*folders, out=tmp_path / "report.html").read_text()
    assert ">mean<" in page


def test_an_end_that_is_damaged_is_not_merged(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    damaged = tmp_path / "stages" / "02-one" / "checkpoint-3" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match="stage 'mean' must merge the last checkpoint of 'one'. It is damaged"):
        run_recipe(WHOLE, tmp_path)
