"""Stages that their stop rules end: what is kept, what the next stage starts from, and what a kill leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import interlace
from interlace.errors import DataError, RecipeError
from interlace.estimate import Figure, Unresolved, figure_text
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.pipeline import run_recipe
from interlace.pipeline.ending import Ending
from interlace.policies import load_policy
from interlace.recipe import Recipe, load_recipe
from interlace.store import read_run
from interlace.store.events import read_events
from interlace.store.record import RunRecord, StageRecord
from tests.pipeline.test_runs import SMALL, StopAt

KL = {"rule": "kl", "nats": 1e-4, "when": "possible"}
"""Any step of a policy that moves passes it."""
BEST = {"rule": "best_checkpoint", "exchange_rate": 1.0, "patience": 1}


def recipe(stop: dict[str, Any], **changes: Any) -> Recipe:
    sft = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-2}
    main = {**sft, "max_steps": 8, "save_steps": 4, "averaged_weights": {"decay": 0.5}, "stop": stop, "name": "main"}
    return load_recipe(
        {
            "name": "stopped",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 16}},
            "stages": [{"sft": sft}, {"sft": {**main, **changes}}, {"sft": sft}],
            "measure": {"every": 2},
        }
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_policy(str(folder)).model.state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "stages" / "02-main").iterdir() if path.is_dir())


def steps(record: RunRecord, kind: str) -> list[int]:
    return [point.step for point in record.points("02-main", "sums", kind)]


def losses(stage: StageRecord) -> dict[int, Figure]:
    """SFT loss at every step that the stage was looked at."""
    found = (item for item in stage.measurements if item.quantity == "sft_loss" and item.point.weights == RAW)
    return {item.point.step: item.figure for item in found}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(recipe(KL), tmp_path_factory.mktemp("stopped") / "a run")[0]


def test_a_stopped_stage_is_done_and_the_next_goes_on_from_there(stopped: Path) -> None:
    record = read_run(stopped)
    main, after = record.stages[1:]
    assert main.finished and main.stopped is not None and after.finished
    assert (main.steps_done, main.steps_planned, main.stopped.step, main.stopped.rule) == (2, 8, 2, "kl")
    assert "above the limit of 0.0001" in main.stopped.reason and main.ledger["optimizer_steps"] == 2
    assert checkpoints(stopped) == ["averaged", "checkpoint-2"]
    assert steps(record, RAW) == steps(record, AVERAGED) == [0, 2] and not steps(record, LINE)
    assert losses(after)[0] == losses(main)[2]


def test_the_summary_says_why_it_stopped(stopped: Path) -> None:
    summary = interlace.summarise(stopped)
    told = summary.to_json()["stages"][1]["stopped"]
    assert (told["rule"], told["step"], told["rewound_to"]) == ("kl", 2, None) and "value" in told["value"]
    assert told["quantity"] == "KL(policy to the stage's start) less the limit"
    assert json.loads(json.dumps(told)) == told
    assert "Stopped at step 2 by the rule kl: KL(policy to the stage's start)" in summary.stages["main"].sentence
    assert not summary.stages["main"].sentence.startswith("So far")
    assert not any("lacks" in sentence for sentence in summary.advice)
    page = interlace.write_report(stopped).read_text(encoding="utf-8")
    assert "stopped: kl" in page and "did not finish" not in page


def test_a_rewound_stage_ends_with_the_earlier_weights(tmp_path: Path) -> None:
    """Steps so long that the first of them ruin the policy: back to the start, its average too."""
    run = run_recipe(recipe(BEST, learning_rate=1.0), tmp_path / "a run")[0]
    record = read_run(run)
    main = record.stages[1]
    assert main.stopped is not None and main.stopped.rewound_to is not None
    back = main.stopped.rewound_to
    assert back == 0 and main.stopped.step == main.steps_done == 2
    assert checkpoints(run) == ["averaged", "checkpoint-0"] and steps(record, RAW) == [0]
    kept = weights(run / "stages" / "02-main" / "checkpoint-0")
    assert same(kept, weights(run / "stages" / "01-sft" / "checkpoint-2"))
    assert same(kept, weights(run / "stages" / "02-main" / "averaged"))
    assert losses(record.stages[2])[0] == losses(main)[0] != losses(main)[2]
    said = interlace.summarise(run).stages["main"]
    assert "It ends with the weights of its start" in said.sentence
    gone = [figure_text(losses(main)[step], unit=False) for step in (0, 2)]
    assert (
        f"changed nothing: it was rewound to its start from step 2, up to which it had taken SFT loss from {gone[0]}"
        f" to {gone[1]} and reward from" in said.sentence
    )
    assert isinstance(said.sft_loss.change, Unresolved) and "rewound to its start" in said.sft_loss.change.reason
    assert said.sft_loss.before == said.sft_loss.after == losses(main)[0] and said.ending == "rewound to its start"
    (ended,) = [flag for flag in main.flags if flag.startswith("reward on sums ended at")]
    assert ended.startswith(f"reward on sums ended at {main.figures_at(main.ended_at('sums'))['reward']}:")
    assert main.ended_at("sums").step == 0


def test_what_was_taken_back_is_not_said_never_to_have_moved(tmp_path: Path) -> None:
    """RL whose first steps ruin the policy ends with its start's weights; the reason is the rule's, not its groups'."""
    told = recipe(BEST).model_dump(mode="json")
    sums = {"task": "sums", "per_device_train_batch_size": 16, "num_generations": 8, "learning_rate": 1.0}
    told["stages"][1:] = [{"rl": {**sums, "max_steps": 4, "stop": BEST}}]
    stage = read_run(run_recipe(load_recipe(told), tmp_path / "a run")[0]).stages[1]
    assert stage.stopped is not None and stage.stopped.rewound_to == 0 and stage.end_step == 0 < stage.steps_done
    assert not any(flag.startswith("no weight moved") for flag in stage.flags)


def test_a_killed_stage_goes_on_with_its_rule(tmp_path: Path) -> None:
    """Killed after a look that the checkpoint before it does not know of."""
    stop = {"rule": "best_checkpoint", "exchange_rate": 0.0, "patience": 8}
    whole = run_recipe(recipe(stop), tmp_path / "whole")[0]
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(stop), tmp_path / "killed", observer=StopAt("02-main", 6))
    killed = run_recipe(recipe(stop), tmp_path / "killed")[0]
    states = [
        {event["step"]: event["state"] for event in read_events(run / "events.jsonl") if event["kind"] == "stop_rule"}
        for run in (whole, killed)
    ]
    assert states[0] == states[1] and list(states[0]) == [2, 4, 6, 8]
    assert read_run(whole).stages[1].stopped == read_run(killed).stages[1].stopped
    assert checkpoints(whole) == checkpoints(killed)
    last = checkpoints(whole)[-1]
    assert same(*(weights(run / "stages" / "02-main" / last) for run in (whole, killed)))


@pytest.mark.parametrize("rule", [KL, BEST])
def test_a_stage_killed_after_its_stop_is_only_finished(
    rule: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last checkpoint, swapped for the kept one where the rule rewinds, and the stage's last line."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ending, "_save_averaged", killed)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe(rule, learning_rate=1.0), tmp_path / "run")
    before = read_run(tmp_path / "run").stages[1]
    assert before.stopped is not None and not before.finished
    run_recipe(recipe(rule, learning_rate=1.0), tmp_path / "run")
    main = read_run(tmp_path / "run").stages[1]
    assert main.finished and main.stopped == before.stopped and main.steps_done == main.stopped.step
    assert checkpoints(tmp_path / "run") == ["averaged", f"checkpoint-{main.end_step}"]
    assert len([event for event in read_events(tmp_path / "run" / "events.jsonl") if event["kind"] == "stop_rule"]) == 1


@pytest.mark.parametrize(
    ("stop", "changes", "message"),
    [
        ({"rule": "parety"}, {}, "rule must be one of best_checkpoint, .* Did you mean 'parity'"),
        ({"nats": 1.0}, {}, "stop must name its rule"),
        ({"rule": "kl", "nat": 1.0}, {}, "The nearest known key is 'nats'"),
        ({"rule": "kl", "nats": -1.0}, {}, "nats must be above 0"),
        ({"rule": "best_checkpoint"}, {}, "exchange_rate"),
        ({"rule": "best_checkpoint", "exchange_rate": "much"}, {}, "exchange_rate must be a number"),
        ({**KL, "weights": "averaged"}, {"averaged_weights": None}, "It keeps none"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_before_anything(stop: Any, changes: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(stop, **changes)


def test_rules_that_a_stage_cannot_follow_and_an_optimizer_of_rewound_weights_are_refused() -> None:
    stage = {"task": "sums", "max_steps": 2}
    common = {"name": "small", "tasks": {"sums": {"kind": "addition", "digits": 1}}}
    with pytest.raises(RecipeError, match="parity must stand in a stage of RL"):
        load_recipe({**common, "stages": [{"sft": {**stage, "stop": {"rule": "parity"}}}]})
    with pytest.raises(RecipeError, match="Preset standard lacks .* Set preset full"):
        load_recipe({**common, "stages": [{"rl": {**stage, "stop": {"rule": "slope", "exchange_rate": 1.0}}}]})
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
