"""Whole runs of a few small steps: continued, refused, controlled, and untouched by being measured."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer

import interlace
from interlace.analysis.foreseen_again import foreseen_again
from interlace.callback import StageCallback
from interlace.dry_run import plan_recipe
from interlace.dry_run.prices import COMMAND_SECONDS, STAGE_SECONDS
from interlace.errors import DataError, Interrupted, MissingFileError, RecipeError, RunFolderError
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, LINE, RAW, Point
from interlace.observer import Observer
from interlace.pipeline import run_recipe
from interlace.policies import load_policy, make_embedded
from interlace.policies.averaging import AveragedWeights
from interlace.policies.policy import independent_copy
from interlace.policies.scoring import response_logprobs
from interlace.probes import PROBES, MeasuredTask
from interlace.probes.instruments import Instruments
from interlace.recipe import Recipe
from interlace.store import RunRecord, RunStore, read_run
from interlace.store.events import read_events
from interlace.tasks import build_task
from interlace.tasks.base import Task

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32}


def recipe_stages() -> list[dict[str, object]]:
    common = {"task": "sums", "max_steps": 4, "save_steps": 2, "averaged_weights": {"decay": 0.5}}
    sft = {**common, "per_device_train_batch_size": 8, "learning_rate": 1e-2}
    rl = {**common, "per_device_train_batch_size": 16, "num_generations": 8, "learning_rate": 1e-2}
    return [{"sft": sft}, {"rl": rl}, {"sft": {**sft, "start_from": "averaged"}}]


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "small",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 16}},
            "stages": recipe_stages(),
            "measure": {"every": 2},
            **changes,
        }
    )


class StopAt(Observer):
    """Ends the process's work as a kill would, right after a step."""

    def __init__(self, stage: str, step: int) -> None:
        self.at = (stage, step)

    def step(self, stage: str, step: int) -> None:
        if (stage, step) == self.at:
            raise KeyboardInterrupt


def figures(record: RunRecord) -> dict[tuple[Point, str], object]:
    return {(item.point, item.quantity): item.figure for stage in record.stages for item in stage.measurements}


def weights(folder: Path, stage: str) -> dict[str, torch.Tensor]:
    return dict(load_policy(str(folder / "stages" / stage / "checkpoint-4")).model.state_dict())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(recipe(), tmp_path_factory.mktemp("whole") / "a run")[0]


def test_every_stage_is_measured_from_start_to_end(whole: Path) -> None:
    record = read_run(whole)
    assert [(item.stage, item.steps_done, item.finished) for item in record.stages] == [
        ("01-sft", 4, True),
        ("02-rl", 4, True),
        ("03-sft-2", 4, True),
    ]
    for stage in record.stages:
        for kind in (RAW, AVERAGED):
            assert [point.step for point in record.points(stage.stage, "sums", kind)] == [0, 2, 4]
    assert [point.position for point in record.points("02-rl", "sums", LINE)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [bool(stage.reconciliation and stage.reconciliation["agrees"]) for stage in record.stages] == [
        True,
        False,
        True,
    ]
    ledger = record.stages[1].ledger
    assert ledger["tokens_sampled"] > 0 and ledger["tokens_forward"] > ledger["tokens_sampled"]
    assert record.stages[0].ledger["expert_examples"] == 32


def test_stages_may_be_added_after_the_last_of_a_finished_run(whole: Path, tmp_path: Path) -> None:
    """Nothing is trained again, and what is added is what one run of all stages has."""
    short = recipe(stages=recipe_stages()[:2])
    folder = run_recipe(short, tmp_path / "a run")[0]
    assert [stage.name for stage in read_run(folder).stages] == ["sft", "rl"]
    before = (folder / "stages" / "02-rl" / "checkpoint-4" / "model.safetensors").stat().st_mtime_ns
    run_recipe(recipe(), folder)
    assert figures(read_run(folder)) == figures(read_run(whole))
    assert (folder / "stages" / "02-rl" / "checkpoint-4" / "model.safetensors").stat().st_mtime_ns == before
    assert (folder / "resolved.yaml").read_text() == (whole / "resolved.yaml").read_text()
    with pytest.raises(RunFolderError, match="stages after the last may be added"):
        run_recipe(short, folder)


def test_what_rl_samples_is_read_in_a_stage_too(whole: Path) -> None:
    """The by-products of an attached trainer, from our own RL stage."""
    sft, rl, _ = read_run(whole).stages
    sampled = {item.quantity: item.figure for item in rl.measurements if item.quantity.startswith("train_")}
    assert {"train_reward", "train_reward_variance", "train_flat_groups_fraction", "train_parity_gap"} <= set(sampled)
    assert {"train_rl_time", "train_completion_tokens", "train_truncated_fraction"} <= set(sampled)
    assert not any(item.quantity.startswith("train_") for item in sft.measurements)
    assert {item.point.step for item in rl.measurements if item.quantity == "train_reward"} == {2, 4}
    reward, gap = sampled["train_reward"], sampled["train_parity_gap"]
    assert isinstance(reward, Estimate) and isinstance(gap, Estimate) and reward.n == 4  # groups since the last look
    expert = read_run(whole).heldout["sums"]
    assert gap.value == pytest.approx(reward.value - expert.per_prompt(expert.reward).mean())
    tokens = [figures(read_run(whole))[Point("02-rl", step, "sums"), "train_completion_tokens"] for step in (2, 4)]
    group = int(rl.options["num_generations"])
    total = sum(figure.value * figure.n * group for figure in tokens if isinstance(figure, Estimate))
    assert total == pytest.approx(rl.ledger["tokens_sampled"])


def test_rl_forecasts_itself_and_keeps_what_it_said(whole: Path) -> None:
    """At the start and at half of four steps, of raw and averaged weights; every fan begins at the start's reward."""
    sft, rl, _ = read_run(whole).stages
    kept = [(each.weights, each.forecast.made_at, each.forecast.for_step) for each in rl.forecasts]
    assert kept == [(RAW, 0, 4), (AVERAGED, 0, 4), (RAW, 2, 4), (AVERAGED, 2, 4)]
    assert sft.forecasts == ()
    begun = [event for event in read_events(whole / "events.jsonl") if event["kind"] == "stage_started"]
    assert [event["bf16"] for event in begun] == [False, False, False]
    start = figures(read_run(whole))[Point("02-rl", 0, "sums"), "reward"]
    assert isinstance(start, Estimate)
    assert [each.forecast.fan[0].reward for each in rl.forecasts] == pytest.approx([start.value] * 4, abs=1e-9)
    assert foreseen_again(read_run(whole)).stages[1].forecasts == rl.forecasts, "the same version says the same again"


def test_instruments_introduce_themselves_once(whole: Path) -> None:
    told = [event for event in read_events(whole / "events.jsonl") if event["kind"] == "instrument"]
    found = [(event["stage"], event["name"], quantity) for event in told for quantity in event["quantities"]]
    assert len(found) == len(set(found)) and ("02-rl", "rollouts", "train_rl_time") in found
    assert ("01-sft", "sft_loss", "sft_loss") in found and all(event["sentence"] and event["cost"] for event in told)


def test_ends_of_the_line_are_the_start_and_the_end(whole: Path) -> None:
    found = figures(read_run(whole))
    for position, step in ((0.0, 0), (1.0, 4)):
        on_line = found[Point("02-rl", 4, "sums", LINE, position), "sft_loss"]
        raw = found[Point("02-rl", step, "sums"), "sft_loss"]
        assert isinstance(on_line, Estimate) and isinstance(raw, Estimate)
        assert on_line.value == pytest.approx(raw.value, abs=1e-5)


def test_the_next_stage_starts_where_it_was_told(whole: Path) -> None:
    found = figures(read_run(whole))
    end = found[Point("02-rl", 4, "sums", AVERAGED), "sft_loss"]
    start = found[Point("03-sft-2", 0, "sums"), "sft_loss"]
    assert isinstance(end, Estimate) and isinstance(start, Estimate)
    assert start.value == pytest.approx(end.value, abs=1e-5)


def test_a_run_killed_after_its_last_checkpoint_only_measures_its_end(whole: Path, tmp_path: Path) -> None:
    """The kill falls between the sealed checkpoint and the stage's last event."""

    class Kill(Observer):
        def measured(self, point: Point, figures: Mapping[str, Figure]) -> None:
            if point.weights == LINE:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(), tmp_path, Kill())
    run_recipe(recipe(), tmp_path)
    once, twice = read_run(whole).stages, read_run(tmp_path).stages
    assert figures(read_run(whole)) == figures(read_run(tmp_path))
    for name in ("optimizer_steps", "tokens_sampled", "tokens_forward", "flops"):
        assert once[1].ledger[name] == twice[1].ledger[name] > 0
    assert 0 < twice[1].ledger["train_seconds"] < 60


def test_a_method_concludes_alike_where_only_the_end_was_left_to_measure(tmp_path: Path) -> None:
    """What it has seen of the updates comes from the last checkpoint."""
    hybrid = {**recipe_stages()[1]["rl"], "method": "noise_control"}  # type: ignore[dict-item]

    class Kill(Observer):
        def measured(self, point: Point, figures: Mapping[str, Figure]) -> None:
            if point.weights == LINE:
                raise KeyboardInterrupt

    for folder, observer in (("whole", Observer()), ("killed", Kill())):
        with contextlib.suppress(KeyboardInterrupt):
            run_recipe(recipe(stages=[{"hybrid": hybrid}]), tmp_path / folder, observer)
    run_recipe(recipe(stages=[{"hybrid": hybrid}]), tmp_path / "killed")
    whole, killed = (read_run(tmp_path / folder).stages[0].flags for folder in ("whole", "killed"))
    concluded = [flag for flag in whole if flag.startswith("4 updates were scaled by 0.10 on average")]
    assert len(concluded) == 1 and concluded[0] in killed


@pytest.mark.parametrize(("stage", "step"), [("01-sft", 3), ("02-rl", 3), ("02-rl", 1), ("03-sft-2", 4)])
def test_a_killed_run_ends_as_if_nothing_had_happened(whole: Path, tmp_path: Path, stage: str, step: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(), tmp_path, StopAt(stage, step))
    run_recipe(recipe(), tmp_path)
    for name in ("01-sft", "02-rl", "03-sft-2"):
        once, twice = weights(whole, name), weights(tmp_path, name)
        assert all(torch.equal(once[key], twice[key]) for key in once)
    assert figures(read_run(whole)) == figures(read_run(tmp_path))
    assert read_run(whole).stages[1].forecasts == read_run(tmp_path).stages[1].forecasts
    found = [e for e in read_events(tmp_path / "events.jsonl") if e["kind"] == "overhead" and e["stage"] == stage]
    spent = [event["stage_cpu_seconds"] for event in found]
    assert step < 2 or spent == sorted(spent)  # what was spent until the checkpoint counts on


def test_a_finished_run_is_not_trained_again(whole: Path) -> None:
    before = (whole / "events.jsonl").read_bytes()
    assert run_recipe(recipe(), whole) == [whole]
    assert (whole / "events.jsonl").read_bytes() == before


def test_another_recipe_does_not_enter_the_folder(whole: Path) -> None:
    with pytest.raises(RunFolderError, match="must hold a run of this recipe"):
        run_recipe(recipe(measure={"every": 1}), whole)


def test_a_damaged_last_checkpoint_is_not_started_from(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(), tmp_path, StopAt("02-rl", 1))
    damaged = tmp_path / "stages" / "01-sft" / "checkpoint-4" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match="must start from the last checkpoint of 'sft'"):
        run_recipe(recipe(), tmp_path)


def test_a_request_to_stop_saves_and_says_how_to_continue(whole: Path, tmp_path: Path) -> None:
    class Ask(Observer):
        def step(self, stage: str, step: int) -> None:
            if (stage, step) == ("02-rl", 1):
                import signal

                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="Run the same command again with --out .* to continue") as caught:
        run_recipe(recipe(), tmp_path, Ask())
    assert caught.value.exit_code == 143
    run_recipe(recipe(), tmp_path)
    assert all(torch.equal(value, weights(tmp_path, "02-rl")[key]) for key, value in weights(whole, "02-rl").items())


def test_training_with_probes_is_training_without_bit_for_bit(tmp_path: Path) -> None:
    """Plain TRL, dropout on, against the same with looks after every step."""
    task = build_task("sums", {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 16}, 0)
    make_embedded(tmp_path / "model", task.alphabet, 0, {**SMALL, "attention_dropout": 0.2})
    rows = [{"prompt": example.prompt, "completion": example.responses[0].text} for example in task.train]

    def trained(with_probes: bool) -> dict[str, torch.Tensor]:
        policy = load_policy(str(tmp_path / "model"))
        trainer = SFTTrainer(
            policy.model,
            args=SFTConfig(
                str(tmp_path / "out"),
                max_steps=6,
                learning_rate=1e-2,
                report_to="none",
                use_cpu=True,
                bf16=False,
                save_strategy="no",
                disable_tqdm=True,
                seed=3,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        if with_probes:
            start = policy.with_model(independent_copy(policy.model))
            store = RunStore.claim(tmp_path / "run", "name: r\n", "", {"recipe": "r", "seed": 0})
            targets = [MeasuredTask.prepare(task, policy)]
            instruments = Instruments(store, Observer(), targets, list(PROBES.values()), 2, seed=0)
            averaged = AveragedWeights(policy.model, 0.9)
            trainer.add_callback(StageCallback("01-sft", instruments, policy, start, 1, averaged=averaged))
        trainer.train()
        if with_probes:
            store.close()
        return dict(policy.model.state_dict())

    plain, probed = trained(False), trained(True)
    assert all(torch.equal(plain[name], probed[name]) for name in plain)


def test_the_placebo_is_recorded_and_continues_as_if_nothing_had_happened(tmp_path: Path) -> None:
    body = {"task": "sums", "max_steps": 4, "save_steps": 2, "per_device_train_batch_size": 16, "learning_rate": 1e-2}
    placebo = recipe(stages=[{"rl": {**body, "num_generations": 8, "placebo": "mirrored"}}])
    run_recipe(placebo, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_recipe(placebo, tmp_path / "killed", StopAt("01-rl", 3))
    run_recipe(placebo, tmp_path / "killed")
    placebo_stage = read_run(tmp_path / "whole").stages[0]
    assert placebo_stage.options["placebo"] == "mirrored" and placebo_stage.forecasts == ()
    assert figures(read_run(tmp_path / "whole")) == figures(read_run(tmp_path / "killed"))


def test_a_stage_can_take_over_the_optimizer(tmp_path: Path) -> None:
    """SFT cut in two with the optimizer handed on differs from one with a fresh optimizer, and keeps its own rate."""
    sft = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-2}
    ends = []
    for fresh in (True, False):
        stages = [{"sft": sft}, {"sft": {**sft, "learning_rate": 1e-3, "fresh_optimizer": fresh}}]
        run_recipe(recipe(stages=stages), tmp_path / str(fresh))
        checkpoint = tmp_path / str(fresh) / "stages" / "02-sft-2" / "checkpoint-2"
        optimizer = torch.load(checkpoint / "optimizer.pt", weights_only=True)
        ends.append((load_policy(str(checkpoint)).model.state_dict(), optimizer))
    (fresh_weights, fresh_optimizer), (handed_weights, handed_optimizer) = ends
    assert any(not torch.equal(fresh_weights[name], handed_weights[name]) for name in fresh_weights)
    steps = [{int(state["step"]) for state in each["state"].values()} for each in (fresh_optimizer, handed_optimizer)]
    assert steps == [{2}, {4}]
    assert fresh_optimizer["param_groups"][0]["lr"] == handed_optimizer["param_groups"][0]["lr"]


def test_two_tasks_are_measured_through_every_stage(tmp_path: Path) -> None:
    sums = {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 16}
    tasks = {"sums": sums, "triples": {**sums, "operands": 3}}
    sft = {"sft": {"task": "triples", "max_steps": 2, "per_device_train_batch_size": 8}}
    record = read_run(run_recipe(recipe(tasks=tasks, stages=[sft]), tmp_path)[0])
    assert {point.task for point, _ in figures(record)} == {"sums", "triples"}


def test_a_task_without_an_expert_and_one_without_a_reward(tmp_path: Path) -> None:
    prompts = [{"prompt": f"{a}+{b}=", "digit": str((a + b) % 10)} for a in range(8) for b in range(8)]
    answers = [{"prompt": row["prompt"], "completion": row["digit"]} for row in prompts]

    def right(completions: list[str], digit: list[str], **_: object) -> list[float]:
        return [float(text == wanted) for text, wanted in zip(completions, digit, strict=True)]

    tasks = {
        "earn": Task.from_rows(prompts, right, name="earn", heldout=16),
        "imitate": Task.from_rows(answers, name="imitate", heldout=16),
    }
    given = {name: {"kind": "given"} for name in tasks}
    rl = {"task": "earn", "max_steps": 2, "per_device_train_batch_size": 16, "max_completion_length": 3}
    stages = [{"rl": rl}, {"sft": {"task": "imitate", "max_steps": 2}}]
    record = read_run(run_recipe(recipe(tasks=given, stages=stages), tmp_path, tasks=tasks)[0])
    measured = {(point.task, quantity) for point, quantity in figures(record)}
    assert ("earn", "reward") in measured and ("imitate", "sft_loss") in measured
    assert not {("earn", "sft_loss"), ("imitate", "reward")} & measured


def test_rl_without_a_signal_says_why_nothing_moved(tmp_path: Path) -> None:
    rows = [{"prompt": f"{a}+{b}=", "completion": "1"} for a in range(8) for b in range(8)]
    task = Task.from_rows(rows, lambda completions, **_: [0.0] * len(completions), name="flat", heldout=16)
    rl = {"task": "flat", "max_steps": 1, "per_device_train_batch_size": 16, "max_completion_length": 3}
    changed = recipe(tasks={"flat": {"kind": "given"}}, stages=[{"rl": rl}])
    (stage,) = read_run(run_recipe(changed, tmp_path, tasks={"flat": task})[0]).stages
    assert any(flag.startswith("no weight moved") for flag in stage.flags)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"rl": {"task": "sums", "max_steps": 2, "num_generations": 7}}, "must have options that TRL accepts"),
        (
            {"sft": {"task": "sums", "max_steps": 2, "learning_rate": math.nan}},
            "learning_rate of stage .* must be",
        ),
        ({"sft": {"task": "sums", "max_steps": 2, "max_length": 5}}, "must fit the context of 5 tokens"),
        ({"rl": {"task": "sums", "max_steps": 2, "beta": 0.1, "placebo": "strict"}}, "placebo: strict needs `beta`"),
        ({"rl": {"task": "sums", "max_steps": 4, "num_iterations": 2, "save_steps": 3}}, "must be a multiple of 2"),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_written(tmp_path: Path, stage: dict, message: str) -> None:
    first = {"sft": {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 8}}
    with pytest.raises((RecipeError, DataError), match=message):
        run_recipe(recipe(stages=[first, stage]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_expert_policy_that_is_not_there_is_said_before_anything_is_written(tmp_path: Path) -> None:
    named = {"every": 2, "expert_policy": str(tmp_path / "nowhere")}
    with pytest.raises(MissingFileError, match="nowhere, which does not exist"):
        run_recipe(recipe(measure=named), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_of_one_run_does_not_take_several(whole: Path) -> None:
    with pytest.raises(RunFolderError, match="must be a folder for 2 runs"):
        run_recipe(recipe(seeds=[0, 1]), whole)


def test_a_planned_folder_is_free(tmp_path: Path) -> None:
    plan_recipe(recipe(), tmp_path)
    changed = recipe(stages=[{"sft": {"task": "sums", "max_steps": 1, "per_device_train_batch_size": 8}}])
    assert read_run(run_recipe(changed, tmp_path)[0]).stages[0].finished


def test_training_prompts_are_measured_apart(tmp_path: Path) -> None:
    """The same quantities on the first 12 training prompts, by another name; nothing else changes."""
    asked = recipe(stages=list(recipe().model_dump()["stages"][:1]), measure={"every": 2, "training_prompts": 12})
    (folder,) = run_recipe(asked, tmp_path / "both")
    record, task = read_run(folder), build_task("sums", asked.tasks["sums"], 0)
    assert set(record.heldout) == {"sums", "sums-train"} and record.heldout["sums-train"].num_prompts == 12
    policy = load_policy(str(folder / "stages" / "01-sft" / "checkpoint-4"))
    swapped = dataclasses.replace(task, name="other", train=task.heldout, heldout=task.train[:12])
    target = MeasuredTask.prepare(swapped, policy)
    scores = [each.sum() for each in response_logprobs(policy, target.responses)]
    by_prompt = target.heldout.probability * np.array(scores)[target.expert]
    expected = -float(np.bincount(target.heldout.prompt, by_prompt).mean())
    found = figures(record)[Point("01-sft", 4, "sums-train"), "sft_loss"]
    assert isinstance(found, Estimate) and found.value == pytest.approx(expected, rel=1e-5)
    (alone,) = run_recipe(recipe(stages=list(recipe().model_dump()["stages"][:1])), tmp_path / "alone")
    key = Point("01-sft", 4, "sums"), "sft_loss"
    assert figures(read_run(alone))[key] == figures(record)[key]


def test_a_stage_of_some_seeds_is_left_out_of_the_others(tmp_path: Path) -> None:
    two = recipe(seeds=(0, 1))
    control = two.stages[2].model_copy(update={"start_from": "rl", "seeds": (1,)})
    two = two.model_copy(update={"stages": (*two.stages[:2], control)})
    plan = plan_recipe(two, tmp_path)
    assert [stage.num_seeds for stage in plan.stages] == [2, 2, 1]
    whole = sum((stage.seconds or 0.0) * stage.num_seeds for stage in plan.stages)
    assert plan.seconds == pytest.approx(COMMAND_SECONDS + whole)
    assert all(stage.seconds is not None and stage.seconds > STAGE_SECONDS for stage in plan.stages)
    done = [[stage.name for stage in read_run(folder).stages] for folder in run_recipe(two, tmp_path)]
    assert done == [["sft", "rl"], ["sft", "rl", "sft-2"]]


def test_seeds_that_were_only_planned_do_not_block_one_run(tmp_path: Path) -> None:
    plan_recipe(recipe(seeds=[0, 1]), tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == {"seed-0", "seed-1"}
    plan_recipe(recipe(seeds=[0]), tmp_path)
    (tmp_path / "seed-1" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="must be empty or a run folder"):
        plan_recipe(recipe(seeds=[1]), tmp_path)


def test_chat_messages_meet_the_models_template_in_sft_rl_and_measurement(tmp_path: Path) -> None:
    """The trainer's loss and ours agree on templated text, and RL samples after the generation prompt."""
    task = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 16}, 0)
    model = make_embedded(tmp_path / "model", task.alphabet + "<>ua", 0, SMALL)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<u>' if m.role == 'user' else '<a>' }}{{ m.content }}"
        "{% if m.role == 'assistant' %}{{ eos_token }}>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<a>{% endif %}"
    )
    tokenizer.save_pretrained(model)
    rows = [
        {"prompt": [{"role": "user", "content": str(e.prompt)}], "completion": e.responses[0].text, "answer": "1"}
        for e in (*task.train, *task.heldout)
    ]
    chat = Task.from_rows(
        rows, lambda completions, **_: [float(len(c[0]["content"])) for c in completions], name="sums", heldout=16
    )
    sft = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 8}
    rl = {"task": "sums", "max_steps": 2, "per_device_train_batch_size": 16, "max_completion_length": 4}
    changed = recipe(model=str(model), model_options={}, stages=[{"sft": sft}, {"rl": rl}])
    record = read_run(run_recipe(changed, tmp_path / "run", tasks={"sums": chat})[0])
    reconciliation = record.stages[0].reconciliation
    assert reconciliation is not None and reconciliation["agrees"]
    assert reconciliation["template"] == "the model's chat template"


def test_a_stage_ends_with_the_blend_that_it_was_told_and_makes_it_once(tmp_path: Path) -> None:
    """Weight for weight between start and end, which the same stage without a blend leaves."""
    sft = recipe().model_dump()["stages"][0]
    mixed = {"task": "sums", "max_steps": 4, "save_steps": 2, "per_device_train_batch_size": 16, "learning_rate": 1e-2}
    plain, blended = (
        recipe(stages=[sft, {"hybrid": {**mixed, "method": "joint", **more}}, {"sft": {**sft["sft"], "name": "again"}}])
        for more in ({}, {"blend": {"position": 0.5}})
    )
    run_recipe(plain, tmp_path / "plain")
    run_recipe(blended, tmp_path / "blended")
    start, end = weights(tmp_path / "plain", "01-sft"), weights(tmp_path / "plain", "02-hybrid")
    found = weights(tmp_path / "blended", "02-hybrid")
    assert any(not torch.equal(start[name], end[name]) for name in start)
    for name, weight in found.items():
        torch.testing.assert_close(weight, 0.5 * (start[name] + end[name]), rtol=0, atol=1e-7)
    folder = tmp_path / "blended"
    assert not list((folder / "stages/02-hybrid").glob("*/optimizer.pt"))
    record, summary = read_run(folder), interlace.summarise(folder)
    told, after = summary.stages["hybrid"], summary.stages["again"]
    assert told.blend == 0.5 and told.ending == "blend at 0.5"
    for name in ("sft_loss", "reward"):
        stands, begins = told.objective(name).after, after.objective(name).before
        assert isinstance(stands, Estimate) and isinstance(begins, Estimate)
        assert stands.value == pytest.approx(begins.value, abs=1e-5)
        assert stands.value != told.objective(name, RAW).after.value
    stands = record.stages[1].figures_at(record.stages[1].ended_at("sums"))["reward"]
    (ended,) = [flag for flag in record.stages[1].flags if flag.startswith("reward on sums ended at")]
    assert ended.startswith(f"reward on sums ended at {stands}:")
    events = (folder / "events.jsonl").read_text().splitlines()
    cut = next(i for i, line in enumerate(events) if '"blended"' in line)
    (folder / "events.jsonl").write_text("\n".join(events[: cut + 1]) + "\n")  # as a kill right after it leaves it
    shutil.rmtree(folder / "stages" / "03-again")
    run_recipe(blended, folder)
    assert all(torch.equal(found[name], weight) for name, weight in weights(folder, "02-hybrid").items())
    (folder / "events.jsonl").write_text("\n".join(events[:cut]) + "\n")  # as a kill right before it does
    shutil.rmtree(folder / "stages" / "03-again")
    run_recipe(blended, folder)
    assert all(torch.equal(found[name], weight) for name, weight in weights(folder, "02-hybrid").items())
    assert (folder / "events.jsonl").read_text().count('"kind": "blended"') == 1
