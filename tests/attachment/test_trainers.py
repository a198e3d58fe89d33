"""Every trainer that can be looked at, and what its user then has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import LoraConfig
from transformers import Trainer, TrainerCallback, TrainingArguments
from trl import GRPOConfig, SFTConfig

import interlace
from interlace.attachment.logs import changes
from interlace.attachment.trainers import stage_kind
from interlace.errors import MissingFileError
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW, HeldOut, PromptScores
from interlace.readback import write_report
from interlace.statistics import sampled_difference
from interlace.store import read_run
from tests.attachment import worlds


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (worlds.sft, "sft"),
        (worlds.grpo, "rl"),
        (worlds.rloo, "rl"),
        (worlds.dpo, "preference"),
        (worlds.kto, "preference"),
        (worlds.plain, "training"),
    ],
)
def test_every_tracker_gets_the_figures_and_the_folder_is_a_run(
    build: Callable[..., Trainer], kind: str, tmp_path: Path
) -> None:
    task = worlds.make_task()
    trainer = build(tmp_path, task)
    reporter = worlds.with_reporter(trainer)
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    trainer.train()
    for name in ("sft_loss", "reward", "kl_policy_start_nats_per_response", "sft_loss_change", "parity_gap"):
        value, lower, upper = (reporter.seen[f"coupling/{name}{end}"] for end in ("", "_lower", "_upper"))
        assert lower <= value <= upper
    assert any("coupling/sft_loss" in entry for entry in trainer.state.log_history)
    assert callback.folder == tmp_path / "out" / "interlace"
    (stage,) = read_run(callback.folder).stages
    assert (stage.kind, stage.steps_done, stage.finished) == (kind, 4, True)
    points = read_run(callback.folder).points(stage.stage, "sums", RAW)
    assert [point.step for point in points] == [0, 2, 4]
    made = [each.forecast.made_at for each in stage.forecasts]
    assert made == ([0, 2] if kind == "rl" else []), "at the start and at half of the stage"
    assert stage.training and stage.samples and stage.ledger["train_seconds"] > 0.0
    assert write_report(callback.folder).read_text(encoding="utf-8").count("sums")


def test_what_is_logged_is_what_is_measured(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    trainer.train()
    assert callback.folder is not None
    figures = {
        (item.point.step, item.quantity): item.figure for item in read_run(callback.folder).stages[0].measurements
    }
    logged = {
        entry["coupling/step"]: entry["coupling/sft_loss"]
        for entry in trainer.state.log_history
        if "coupling/sft_loss" in entry
    }
    assert set(logged) == {0.0, 2.0, 4.0}
    assert all(entry["step"] == entry["coupling/step"] for entry in trainer.state.log_history if "loss" in entry)
    assert [entry["step"] for entry in trainer.state.log_history if entry.get("coupling/step") == 0.0] == [0]
    for step, value in logged.items():
        figure = figures[int(step), "sft_loss"]
        assert isinstance(figure, Estimate) and figure.value == value
    change = trainer.state.log_history[-1].get("coupling/sft_loss_change")
    start, end = figures[0, "sft_loss"], figures[4, "sft_loss"]
    assert isinstance(start, Estimate) and isinstance(end, Estimate)
    changes = [entry["coupling/sft_loss_change"] for entry in trainer.state.log_history if entry.get("coupling/step")]
    assert change is None and changes[-1] == pytest.approx(end.value - start.value, abs=1e-9)


def test_another_reward_than_the_tasks_is_not_forecast(tmp_path: Path) -> None:
    """The path models follow the task's reward; what RL is paid for here is length."""
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task, reward_funcs=lambda completions, **_: [float(len(c)) for c in completions])
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    trainer.train()
    assert callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert stage.finished and stage.forecasts == ()


@pytest.mark.parametrize("build", [worlds.grpo, worlds.rloo])
def test_what_rl_samples_anyway_is_read(build: Callable[..., Trainer], tmp_path: Path) -> None:
    task = worlds.make_task()
    scored: list[list[float | None]] = []
    own = task.reward
    assert own is not None
    lengths: list[int] = []

    def reward(completions: list[str], completion_ids: list[list[int]], **columns: object) -> list[float]:
        values = [len(text) / 3 for text in completions]  # a reward with signal on an untrained model
        scored.append(list(values))
        lengths.extend(map(len, completion_ids))
        return values

    trainer = build(tmp_path, task, reward_funcs=reward, gradient_accumulation_steps=2)
    callback = interlace.attach(trainer, task, every=4, overhead=None)
    trainer.train()
    assert callback.folder is not None and callback.rollouts is not None
    found = {item.quantity: item.figure for item in read_run(callback.folder).stages[0].measurements}
    means, tokens = found["train_reward"], found["train_completion_tokens"]
    flat = [value for batch in scored for value in batch if value is not None]
    assert isinstance(means, Estimate) and means.value == pytest.approx(sum(flat) / len(flat), abs=1e-6)
    assert means.n == len(flat) // 4
    assert isinstance(tokens, Estimate) and tokens.value == pytest.approx(sum(lengths) / len(lengths))
    assert read_run(callback.folder).stages[0].ledger["tokens_sampled"] == sum(lengths)
    seen = {name.removeprefix("coupling/") for entry in trainer.state.log_history for name in entry if "/" in name}
    assert {"train_reward", "train_reward_lower", "sft_loss_change_upper", "parity_gap"} <= seen
    assert not {"train_completion_tokens", "train_truncated_fraction", "pass_at_k/2", "sft_loss_per_token"} & seen
    gap = found["train_parity_gap"]
    assert isinstance(gap, Unresolved) and "not the task's reward alone" in gap.reason
    assert {"train_reward_variance", "train_flat_groups_fraction", "train_truncated_fraction"} <= set(found)
    assert isinstance(found["train_advantage_size"], Estimate)


def test_a_callback_alone_reaches_the_trainers_history(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task, [interlace.CouplingCallback(task, every=2, overhead=None)])
    reporter = worlds.with_reporter(trainer)
    trainer.train()
    looks = [(entry["step"], entry["coupling/step"]) for entry in trainer.state.log_history if "coupling/step" in entry]
    assert looks == [(2, 2.0), (4, 4.0)]
    assert not any(name.startswith("coupling/") for name in reporter.seen)  # set up before it: only attach reaches it


def test_peft_is_compared_with_its_own_start(tmp_path: Path) -> None:
    task = worlds.make_task()
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    trainer = worlds.sft(tmp_path, task, peft=adapter, bf16=True, gradient_checkpointing=True)
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    base = {name: value for name, value in worlds.weights(trainer).items() if "lora" not in name}
    trainer.train()
    after = worlds.weights(trainer)
    assert all(base[name].equal(after[name]) for name in base)
    assert callback._start is not None and all("lora" in name for name in callback._start.kept)
    assert callback.folder is not None
    kl = {
        item.point.step: item.figure
        for item in read_run(callback.folder).stages[0].measurements
        if item.quantity == "kl_policy_start_nats_per_response"
    }
    assert isinstance(kl[0], Estimate) and kl[0].value == pytest.approx(0.0, abs=1e-9)
    assert isinstance(kl[4], Estimate) and kl[4].value > 0.0


def test_two_tasks_make_a_coupling_matrix(tmp_path: Path) -> None:
    from dataclasses import replace

    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    reporter = worlds.with_reporter(trainer)
    interlace.attach(trainer, [task, replace(task, name="again")], every=2, overhead=None)
    trainer.train()
    assert reporter.seen["coupling/sums/sft_loss"] == reporter.seen["coupling/again/sft_loss"]


@pytest.mark.parametrize(
    ("name", "bases", "kind"),
    [
        ("MyConfig", (SFTConfig,), "sft"),
        ("PPOConfig", (TrainingArguments,), "training"),
        ("OnlineDPOConfig", (TrainingArguments,), "training"),
        ("GKDConfig", (SFTConfig,), "training"),
        ("GMPOConfig", (GRPOConfig,), "rl"),
    ],
)
def test_only_what_is_known_to_be_sft_is_called_so(
    name: str, bases: tuple[type, ...], kind: str, tmp_path: Path
) -> None:
    assert stage_kind(type(name, bases, {})(output_dir=str(tmp_path), use_cpu=True, bf16=False)) == kind


@pytest.mark.parametrize("way", ["attach", "callback"])
def test_what_an_evaluation_logs_is_left_alone(way: str, tmp_path: Path) -> None:
    """The trainer chooses its best model by the dict that it logs, and hands it out."""
    task = worlds.make_task()
    options: dict[str, object] = {"eval_strategy": "steps", "eval_steps": 1, "logging_steps": 3}
    seen: list[dict[str, float]] = []

    class Seen(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            seen.append(metrics)

    trainer = worlds.plain(tmp_path, task, **options)
    trainer.add_callback(Seen())
    if way == "attach":
        interlace.attach(trainer, task, every=1, overhead=None)
    else:
        callback = interlace.CouplingCallback(task, every=1, overhead=None)
        callback.bind(trainer.args, trainer.model, trainer.processing_class)
        trainer.add_callback(callback)
    result = trainer.train()
    entries = [*seen, *(entry for entry in trainer.state.log_history if "eval_loss" in entry)]
    assert len(seen) == 4 and not [name for entry in entries for name in entry if "coupling" in name]
    assert any("coupling/sft_loss" in entry for entry in trainer.state.log_history)
    if way == "attach":
        assert "epoch" in result.metrics and not [name for name in result.metrics if "coupling" in name]


def test_a_process_that_does_not_write_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task)
    monkeypatch.setattr(trainer, "is_world_process_zero", lambda: False)
    monkeypatch.setattr(type(trainer.args), "process_index", 1)
    callback = interlace.attach(trainer, task, every=1, overhead=None)
    assert callback.rollouts is None and callback._start is None


def test_a_process_that_does_not_look_loads_no_expert_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused there too if it is nowhere: no process waits for another that was."""
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    monkeypatch.setattr(type(trainer.args), "process_index", 1)
    monkeypatch.setattr("interlace.attachment.settings.load_policy", lambda _: pytest.fail("it was loaded"))
    with pytest.raises(MissingFileError, match="expert_policy must be a folder"):
        interlace.attach(trainer, task, expert_policy=tmp_path / "nowhere")
    interlace.attach(trainer, task, expert_policy=tmp_path / "model")


def test_the_change_of_a_sampled_reward_is_logged_as_the_report_has_it() -> None:
    """Three prompts of 32 changed: Student t would be certain of a rise, the bounds of few changes are not."""
    held = HeldOut("t", 32, np.arange(32), np.ones(32), np.full(32, 0.5), np.ones(32, dtype=int), False)
    before = np.zeros((32, 8))
    after = before.copy()
    after[:3] = 1.0
    start, now = (PromptScores(np.full(32, -1.0), each, np.full((32, 8), 1 / 8), False) for each in (before, after))
    found = changes(held, start, now)["reward_change"]
    assert found == sampled_difference(before.mean(1), after.mean(1), unit="reward units").change
    assert isinstance(found, Estimate) and found.lower < 0.0 < found.value
