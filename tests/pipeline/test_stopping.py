"""Stages that their stop rules end: what is kept, what the next stage starts from, and what a kill leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import interlace
from interlace.errors import DataError, RecipeError
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.pipeline import run_recipe
from interlace.policies import load_policy
from interlace.recipe import Recipe, load_recipe
from interlace.store import read_run
from interlace.store.events import read_events
from interlace.store.record import RunRecord
from tests.pipeline.test_runs import SMALL, StopAt

KL = {"rule": "kl", "nats": 1e-4, "when": "possible"}
"""Any step of a policy that moves passes it."""


def recipe(stop: dict[str, Any], **changes: Any) -> Recipe:
    rl = {
        "task": "sums",
        "max_steps": 8,
        "save_steps": 4,
        "per_device_train_batch_size": 16,
        "num_generations": 8,
        "learning_rate": 1e-2,
        "averaged_weights": {"decay": 0.5},
        "stop": stop,
    }
    sft = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-2}
    return load_recipe(
        {
            "name": "stopped",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 16}},
            "stages": [{"sft": {**sft, "max_steps": 4}}, {"rl": {**rl, **changes}}, {"sft": sft}],
            "measure": {"every": 2},
        }
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_policy(str(folder)).model.state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "stages" / "02-rl").iterdir())


def steps(record: RunRecord, kind: str) -> list[int]:
    return [point.step for point in record.points("02-rl", "sums", kind)]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(recipe(KL), tmp_path_factory.mktemp("stopped") / "a run")[0]


def test_a_stopped_stage_is_done_and_the_next_goes_on_from_there(stopped: Path) -> None:
    record = read_run(stopped)
    rl, after = record.stages[1:]
    assert rl.finished and rl.stopped is not None and after.finished
    assert (rl.steps_done, rl.steps_planned, rl.stopped.step, rl.stopped.rule) == (2, 8, 2, "kl")
    assert "may be above 0.000" in rl.stopped.reason and rl.ledger["optimizer_steps"] == 2
    assert checkpoints(stopped) == ["averaged", "checkpoint-2"]
    assert steps(record, RAW) == steps(record, AVERAGED) == [0, 2] and set(steps(record, LINE)) == {2}
    before = {
        item.quantity: item.figure for item in rl.measurements if item.point == record.points("02-rl", "sums", RAW)[-1]
    }
    start = {item.quantity: item.figure for item in after.measurements if item.point.step == 0}
    assert before["sft_loss"] == start["sft_loss"]


def test_the_summary_says_why_it_stopped(stopped: Path) -> None:
    summary = interlace.summarise(stopped)
    told = summary.to_json()["stages"][1]["stopped"]
    assert (told["rule"], told["step"], told["rewound_to"]) == ("kl", 2, None) and "value" in told["value"]
    assert json.loads(json.dumps(told)) == told
    assert "Stopped at step 2 by the rule kl: KL(policy to the stage's start)" in summary.stages["rl"].sentence
    assert not summary.stages["rl"].sentence.startswith("So far")
    assert not any("lacks" in sentence for sentence in summary.advice)
    page = interlace.write_report(stopped).read_text(encoding="utf-8")
    assert "stopped: kl" in page and "did not finish" not in page


def test_a_rewound_stage_ends_with_the_earlier_weights(tmp_path: Path) -> None:
    """Nothing beats the start at a huge exchange rate: two looks of patience, then back to the start or the best."""
    stop = {"rule": "best_checkpoint", "exchange_rate": 1e3, "patience": 1}
    run = run_recipe(recipe(stop), tmp_path / "a run")[0]
    record = read_run(run)
    rl = record.stages[1]
    assert rl.stopped is not None and rl.stopped.rewound_to is not None
    back = rl.stopped.rewound_to
    assert back < rl.stopped.step == rl.steps_done
    assert checkpoints(run) == ["averaged", f"checkpoint-{back}"] and steps(record, RAW)[-1] == back
    kept = weights(run / "stages" / "02-rl" / f"checkpoint-{back}")
    if back == 0:
        assert same(kept, weights(run / "stages" / "01-sft" / "checkpoint-4"))
        assert same(weights(run / "stages" / "02-rl" / "averaged"), kept)
    measured = {
        item.point.step: item.figure
        for item in rl.measurements
        if item.quantity == "sft_loss" and item.point.weights == RAW
    }
    next_start = next(item.figure for item in record.stages[2].measurements if item.quantity == "sft_loss")
    assert next_start == measured[back]
    assert f"weights of {f'step {back}' if back else 'its start'}" in interlace.summarise(run).stages["rl"].sentence


@pytest.mark.parametrize("at", [5, 6])
def test_a_killed_stage_goes_on_with_its_rule_and_a_stopped_one_is_not_continued(at: int, tmp_path: Path) -> None:
    """Killed before the stop, and after the step that stops it was looked at but before its checkpoint was written."""
    stop = {"rule": "best_checkpoint", "exchange_rate": 0.0, "patience": 8}
    whole = run_recipe(recipe(stop), tmp_path / "whole")[0]
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(stop), tmp_path / "killed", observer=StopAt("02-rl", at))
    killed = run_recipe(recipe(stop), tmp_path / "killed")[0]
    states = [
        {event["step"]: event["state"] for event in read_events(run / "events.jsonl") if event["kind"] == "stop_rule"}
        for run in (whole, killed)
    ]
    assert states[0] == states[1] and list(states[0]) == [2, 4, 6, 8]
    assert read_run(whole).stages[1].stopped == read_run(killed).stages[1].stopped
    assert checkpoints(whole) == checkpoints(killed)
    last = checkpoints(whole)[-1]
    assert same(*(weights(run / "stages" / "02-rl" / last) for run in (whole, killed)))


def test_a_stage_killed_after_its_stop_is_only_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interlace.pipeline import stage_run
    from interlace.pipeline.ending import Ending

    def killed(self: Ending) -> None:
        raise KeyboardInterrupt

    for rule in (KL, {**KL, "when": "exceeded", "rewind": True}):
        folder = tmp_path / str(len(rule))
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Ending, "_save_averaged", lambda self, averaged: killed(self))
            run_recipe(recipe(rule), folder)
        with monkeypatch.context() as patched:
            patched.setattr(stage_run.Trainer, "train", killed, raising=False)
            record = read_run(folder)
            assert record.stages[1].stopped is not None and not record.stages[1].finished
        run_recipe(recipe(rule), folder)
        rl = read_run(folder).stages[1]
        assert rl.finished and rl.stopped == record.stages[1].stopped
        assert checkpoints(folder) == ["averaged", f"checkpoint-{rl.end_step}"]


@pytest.mark.parametrize(
    ("stop", "changes", "message"),
    [
        ({"rule": "parety"}, {}, "rule must be one of best_checkpoint, .* Did you mean 'parity'"),
        ({"nats": 1.0}, {}, "stop must name its rule"),
        ({"rule": "kl", "nat": 1.0}, {}, "The nearest known key is 'nats'"),
        ({"rule": "kl", "nats": -1.0}, {}, "nats must be greater than 0"),
        ({"rule": "exchange_rate"}, {}, "exchange_rate"),
        ({"rule": "slope", "exchange_rate": 1.0}, {}, "Preset standard lacks .* Set preset full"),
        ({"rule": "parity", "weights": "averaged"}, {"averaged_weights": None}, "It keeps none"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_before_anything(stop: Any, changes: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(stop, **changes)


def test_rules_of_rl_are_refused_in_sft_and_an_optimizer_is_not_taken_from_rewound_weights() -> None:
    stage = {"task": "sums", "max_steps": 2}
    common = {"name": "small", "tasks": {"sums": {"kind": "addition", "digits": 1}}}
    with pytest.raises(RecipeError, match="parity must stand in a stage of RL"):
        load_recipe({**common, "stages": [{"sft": {**stage, "stop": {"rule": "parity"}}}]})
    first = {"rl": {**stage, "stop": {"rule": "parity", "rewind": True}}}
    with pytest.raises(RecipeError, match="weights without an optimizer"):
        load_recipe({**common, "stages": [first, {"sft": {**stage, "fresh_optimizer": False}}]})


def test_a_task_without_what_the_rule_reads_is_refused_before_training(tmp_path: Path) -> None:
    rows = [{"prompt": f"{a}=", "completion": str(a)} for a in range(60)]
    task = interlace.Task.from_rows(rows, max_response_tokens=3)
    stop = {"rule": "best_checkpoint", "exchange_rate": 1.0}
    stage = {"sft": {"task": "echo", "max_steps": 2, "stop": stop}}
    with pytest.raises(DataError, match="task 'echo' must have a reward for the stop rule best_checkpoint"):
        interlace.run({"name": "echo", "stages": [stage]}, tasks={"echo": task}, out=tmp_path / "run")
