"""The user's training is never killed; the user's mistakes are said before it starts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import Qwen3ForSequenceClassification, Trainer, TrainerCallback
from trl import RewardConfig, RewardTrainer

import interlace
from interlace.attachment.attach import refuse_trainer
from interlace.attachment.settings import Settings
from interlace.errors import DataError, MissingFileError, ModelError, RecipeError
from interlace.estimate import Unresolved
from interlace.policies import make_embedded
from interlace.probes.divergence import Divergence
from interlace.readback import write_report
from interlace.store import RunStore, read_run
from interlace.tasks.example import Example, ExpertResponse
from tests.attachment import worlds


def test_a_failing_probe_is_recorded_said_once_and_switched_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = worlds.make_task()
    calls = []

    def broken(completions: list[str], **columns: Any) -> list[float]:
        calls.append(len(completions))
        raise ZeroDivisionError("no reward today")

    sampled = replace(task, reward=broken, heldout=tuple(replace(e, rewarded=None) for e in task.heldout))
    trainer = worlds.sft(tmp_path, task)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        callback = interlace.attach(trainer, sampled, every=1, overhead=None)
        trainer.train()
    assert trainer.state.global_step == 4
    said = [record.getMessage() for record in caplog.records if "switched off" in record.getMessage()]
    (text,) = said  # by all that read it and by the samples shown, at the start and at the end
    assert text.startswith("the reward failed, and what reads it was switched off: reward 'broken' must score")
    assert "no reward today" in text
    assert callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert stage.finished and len(stage.flags) == 1 and stage.dead_reward == stage.flags[0]
    (advice,) = interlace.summarise(callback.folder).advice
    assert (
        advice.startswith("Mend the reward of sft, then train again: the reward failed") and "no reward today" in advice
    )
    assert {item.quantity for item in stage.measurements} >= {"sft_loss"}
    measured = [item.point.step for item in stage.measurements if item.quantity == "sft_loss"]
    assert measured == [0, 1, 2, 3, 4]


def test_a_full_disk_stops_the_looks_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = worlds.make_task()
    bare = worlds.sft(tmp_path, task)
    bare.train()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, every=1, overhead=None)

    def full(self: RunStore, point: Any, scores: Any) -> None:
        if point.step == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunStore, "scores", full)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        trainer.train()
    assert callback.is_off
    assert sum("stopped looking in after_step: OSError" in record.getMessage() for record in caplog.records) == 1
    one, other = worlds.weights(bare), worlds.weights(trainer)
    assert all(torch.equal(one[name], other[name]) for name in one)


def said_by(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "interlace"]


def test_a_disk_that_fills_under_the_log_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel's own error: what is written from step 2 on goes to /dev/full."""

    class Fill(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 2:
                assert callback.session is not None
                log = callback.session.store._log
                log.close()
                log._file = Path("/dev/full").open("ab")  # noqa: SIM115 -- the log closes it

    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, every=1, overhead=None)
    trainer.add_callback(Fill())
    with caplog.at_level(logging.WARNING, logger="interlace"):
        trainer.train()
    (said,) = said_by(caplog)
    assert "No space left on device" in said and trainer.state.global_step == 4
    assert callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert {item.point.step for item in stage.measurements} == {0, 1, 2}


def test_a_folder_that_cannot_be_made_stops_the_looks_and_not_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        callback = interlace.attach(trainer, task, every=1, out=tmp_path / "file" / "run")
        trainer.train()
    (said,) = said_by(caplog)
    assert said.startswith("interlace stopped looking in look_at_start: NotADirectoryError")
    assert callback.is_off and callback.folder is None and trainer.state.global_step == 4
    (tmp_path / "file").unlink()
    trainer.train()  # the next training is looked at
    assert callback.folder is not None and read_run(callback.folder).stages[0].finished


def test_ctrl_c_in_the_middle_of_a_look_leaves_whole_files_and_a_model_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, every=1, overhead=None)

    def interrupted(self: Any, context: Any) -> Any:
        with context.start.observed():
            raise KeyboardInterrupt

    trainer.add_callback(At(2, lambda: monkeypatch.setattr(Divergence, "measure", interrupted)))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.model.training and callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert {item.point.step for item in stage.measurements} == {0, 1, 2} and not stage.finished
    assert not list(callback.folder.rglob("*.partial")) and write_report(callback.folder).exists()
    now = dict(trainer.model.named_parameters())
    assert callback._start is not None and any(not now[name].equal(callback._start.kept[name]) for name in now)


class At(TrainerCallback):
    """Does something once, when a step begins."""

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        self.step, self.act = step, act

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            self.act()


def test_attaching_while_it_trains_is_refused(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    refused = []

    def late() -> None:
        with pytest.raises(RecipeError, match="attach must come before trainer.train"):
            interlace.attach(trainer, task)
        refused.append(True)

    trainer.add_callback(At(1, late))
    trainer.train()
    assert refused


def test_a_callback_added_while_it_trains_says_that_it_is_late(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.CouplingCallback(task)
    trainer.add_callback(At(1, lambda: trainer.add_callback(callback)))
    with caplog.at_level(logging.WARNING, logger="interlace"):
        trainer.train()
    (said,) = said_by(caplog)
    assert "must be added before training begins" in said and callback.is_off


@pytest.mark.parametrize("build", [worlds.sft, worlds.grpo])
def test_one_held_out_prompt_has_no_interval_hence_no_figure(build: Callable[..., Trainer], tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = build(tmp_path, task)
    reporter = worlds.with_reporter(trainer)
    callback = interlace.attach(trainer, replace(task, heldout=task.heldout[:1]), every=2, overhead=None)
    trainer.train()
    assert not callback.is_off and callback.folder is not None
    figures = {item.quantity: item.figure for item in read_run(callback.folder).stages[0].measurements}
    loss = figures["sft_loss"]
    assert isinstance(loss, Unresolved) and "at least 12 prompts, got 1" in loss.reason
    assert "coupling/sft_loss" not in reporter.seen


def test_evaluating_after_training_is_no_affair_of_the_callbacks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        callback = interlace.attach(trainer, task, every=2)
        trainer.train()
        trainer.evaluate(trainer.train_dataset.select(range(8)))
    assert not callback.is_off and not [text for text in said_by(caplog) if "stopped" in text]


def test_a_model_that_draws_in_evaluation_mode_is_not_looked_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    norm = trainer.model.model.norm
    plain = norm.forward
    norm.forward = lambda x: torch.nn.functional.dropout(plain(x), p=0.1)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        callback = interlace.attach(trainer, task, every=1, overhead=None)
        trainer.train()
    assert callback.is_off and trainer.state.global_step == 4
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and "something in it draws" in said[0] and said[0].endswith("Training goes on.")
    assert callback.folder is not None and callback.open_session is None
    assert read_run(callback.folder).stages[0].flags == (said[0],)


def test_an_error_at_trls_seams_reaches_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task)
    callback = interlace.attach(trainer, task, every=1, overhead=None)
    assert callback.rollouts is not None
    monkeypatch.setattr(type(callback.rollouts), "add", lambda self, batch: 1 / 0)
    trainer.train()
    assert callback.is_off and trainer.state.global_step == 4


def test_a_reward_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    task = worlds.make_task()
    policy = worlds.make_model(tmp_path / "model", task)
    model = Qwen3ForSequenceClassification(
        policy.model.config.__class__(**policy.model.config.to_dict() | {"num_labels": 1})
    )
    rows = [{"chosen": e.prompt + "1", "rejected": e.prompt + "2"} for e in task.train]
    trainer = RewardTrainer(
        model,
        args=RewardConfig(str(tmp_path / "out"), **worlds.COMMON),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )
    with pytest.raises(ModelError, match="must train a causal language model.*Got Qwen3ForSequenceClassification"):
        interlace.attach(trainer, task)


def test_a_trainer_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.plain(tmp_path, task)
    trainer.processing_class = None
    with pytest.raises(ModelError, match="must have a tokenizer with an end-of-sequence token. Got NoneType"):
        interlace.attach(trainer, task)


def test_sharded_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = worlds.make_task()
    trainer = worlds.plain(tmp_path, task)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ModelError, match="must keep whole weights in each process. It uses FSDP"):
        interlace.attach(trainer, task)


def test_attaching_twice_is_refused(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    interlace.attach(trainer, task)
    with pytest.raises(RecipeError, match="must be attached to once"):
        interlace.attach(trainer, task)


def test_an_expert_response_that_does_not_fit_is_said_before_training(tmp_path: Path) -> None:
    task = worlds.make_task()
    long = Example("1+1=", (ExpertResponse("1" * 200, 1.0, 0.0),), {"answer": "2"})
    trainer = worlds.sft(tmp_path, task)
    with pytest.raises(DataError, match="must fit the context of 128 tokens"):
        interlace.attach(trainer, replace(task, heldout=(long,), reward=None, train=task.train[:1]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every must be a whole number of optimizer steps, at least 1. Got 0."),
        ({"overhead": 0.0}, 'overhead must lie in .0, 1., or be "preset", or None for no limit. Got 0.0.'),
        ({"preset": "everything"}, "preset must be one of .*light.* Got 'everything'."),
        ({"overhead": -0.1}, "overhead must lie in .* Got -0.1."),
        ({"overhead": 1.1}, "overhead must lie in .* Got 1.1."),
        ({"prompts": 1}, "prompts must be a whole number of held-out prompts, at least 2"),
        (
            {"prompts": 17},
            "prompts must be at most the 16 that task 'sums' holds out. Got 17. Lower it, or leave it out",
        ),
        ({"completions": 1}, "completions must be a whole number of samples a prompt, at least 2"),
    ],
)
def test_settings_out_of_range_are_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        interlace.CouplingCallback(worlds.make_task(), **settings)


ROWS = [{"prompt": f"{n}+1=", "completion": f"{n + 1}"} for n in range(10)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"every": 2.5}, "every must be a whole number of optimizer steps, at least 1. Got 2.5. Change it."),
        ({"every": "10"}, "every must be a whole number of optimizer steps, at least 1. Got '10'. Change it."),
        (
            {"completions": 2.0},
            "completions must be a whole number of samples a prompt, at least 2, to see how they vary.",
        ),
        ({"overhead": "small"}, "overhead must lie in (0, 1], or be \"preset\", or None for no limit. Got 'small'."),
        ({"preset": None}, "preset must be one of full, light, planning, standard. Got 'None'."),
        ({"out": 3}, "out must be a folder's path, or None for the trainer's output_dir. Got 3. Change it."),
        ({"expert": 3}, "expert_policy must be a loaded policy, a folder or a hub id. Got 3. Change it."),
        (
            {"task": "addition"},
            "task must be an interlace.Task, or several. Got the name 'addition'. "
            "Build it first: interlace.tasks.build_task('mine', 'addition', seed=0).",
        ),
        ({"task": "sums"}, "Got 'sums'. Make one: interlace.Task.from_rows(rows, reward=...)."),
        ({"task": ROWS}, "Got rows. Make them a task: interlace.Task.from_rows(rows, reward=...)."),
        ({"task": None}, "task must be an interlace.Task, or several. Got None."),
    ],
)
def test_what_is_no_such_thing_at_all_is_said_in_one_sentence(wrong: dict[str, Any], message: str) -> None:
    """Checked apart from `CouplingCallback`: types are executed in tests, and would speak first."""
    right = {"every": 10, "overhead": None, "out": None, "preset": "light", "prompts": None, "completions": 8}
    asked = {"task": worlds.make_task(), "expert": None, **right, **wrong}
    with pytest.raises(RecipeError) as caught:
        Settings.asked(**asked)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_trainer_and_task_the_wrong_way_round_are_said(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    with pytest.raises(RecipeError, match=r"Got a Task. The two are swapped: attach\(trainer, task\)."):
        refuse_trainer(task, trainer)
    with pytest.raises(RecipeError, match="must be given a Transformers or TRL trainer. Got a str. Give it first."):
        refuse_trainer("trainer", task)


def test_an_expert_policy_that_is_nowhere_is_refused_without_a_network(tmp_path: Path) -> None:
    task = worlds.make_task()
    with pytest.raises(MissingFileError) as caught:
        interlace.attach(worlds.sft(tmp_path, task), task, expert_policy="nowhere")
    assert str(caught.value) == (
        "expert_policy must be a folder, a .gguf file or a hub id OWNER/NAME. Got 'nowhere': there is no folder "
        f"{Path('nowhere').absolute()}, nor is it in the hub's cache. Check the path, or write the owner."
    )


def test_the_light_preset_measures_an_expert_policy_at_both_ends(tmp_path: Path) -> None:
    task = worlds.make_task()
    expert = make_embedded(tmp_path / "expert", task.alphabet, 7, worlds.SMALL)
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, preset="light", expert_policy=expert)
    trainer.train()
    assert callback.folder is not None
    measured = read_run(callback.folder).stages[0].measurements
    assert {item.point.step for item in measured if item.quantity == "kl_policy_expert_nats_per_response"} == {0, 4}


def test_tasks_need_names_of_their_own(tmp_path: Path) -> None:
    task = worlds.make_task()
    with pytest.raises(DataError, match="tasks must be at least one, with names of their own. Got sums, sums"):
        interlace.attach(worlds.sft(tmp_path, task), [task, task])


def test_a_forecast_that_fails_is_said_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such path")

    monkeypatch.setattr("interlace.forecasting.foresight.running_forecast", broken)
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task)
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    trainer.train()
    assert callback.folder is not None and not callback.is_off
    (stage,) = read_run(callback.folder).stages
    assert stage.finished and stage.forecasts == ()
    assert [text for text in stage.flags if "forecast failed" in text] == [
        "the probe forecast failed and was switched off: ValueError: no such path"
    ]
