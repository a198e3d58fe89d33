"""A training that was killed and resumed leaves one run; another training takes another folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import TrainerCallback

import interlace
from interlace.callback.clock import SPENT
from interlace.probes import PRESETS
from interlace.store import read_run
from interlace.store.events import read_events
from tests.attachment import worlds


class Kill(TrainerCallback):
    """Ends the process's work as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def figures(folder: Path) -> dict[Any, Any]:
    (stage,) = read_run(folder).stages
    return {(item.point, item.quantity): item.figure for item in stage.measurements}


@pytest.mark.parametrize("way", ["attach", "callback"])
def test_a_resumed_training_ends_as_an_unbroken_one(tmp_path: Path, way: str) -> None:
    task = worlds.make_task()

    def build(folder: Path) -> tuple[Any, Any]:
        settings = {"every": 1, "overhead": None}
        if way == "attach":
            trainer = worlds.sft(folder, task, save_strategy="steps", save_steps=2)
            return trainer, interlace.attach(trainer, task, **settings)
        callback = interlace.CouplingCallback(task, **settings)
        return worlds.sft(folder, task, [callback], save_strategy="steps", save_steps=2), callback

    trainer, unbroken = build(tmp_path / "whole")
    trainer.train()
    trainer, killed = build(tmp_path / "killed")
    trainer.add_callback(Kill(3))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    if way == "callback":
        killed.let_go()  # as the end of the process does
    trainer, resumed = build(tmp_path / "killed")
    trainer.train(resume_from_checkpoint=True)
    assert resumed.folder == killed.folder
    assert figures(resumed.folder) == figures(unbroken.folder)
    assert read_run(resumed.folder).stages[0].finished


def test_a_start_that_no_earlier_process_measured_is_that_of_the_first_weights(tmp_path: Path) -> None:
    """With every probe: none reads the resumed weights in place of the start's."""
    task = worlds.make_task()
    first: dict[Any, Any] = {}
    for folder, attached in (("whole", True), ("late", False)):
        trainer = worlds.sft(tmp_path / folder, task, save_strategy="steps", save_steps=2, max_steps=4)
        if attached:
            first = figures_of(trainer, task)
            continue
        trainer.add_callback(Kill(3))
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
    trainer = worlds.sft(tmp_path / "late", task, save_strategy="steps", save_steps=2, max_steps=4)
    late = figures_of(trainer, task, resume_from_checkpoint=True)
    assert {key: first[key] for key in late} == late
    missing = {quantity for _, quantity in first.keys() - late.keys()}
    assert missing == {"kl_policy_start_nats_per_response"}  # 0 at the start, of the start itself


def figures_of(trainer: Any, task: Any, **how: Any) -> dict[Any, Any]:
    callback = interlace.attach(trainer, task, every=10, overhead=None, preset="full", completions=2)
    trainer.train(**how)
    assert callback.folder is not None and not callback.is_off
    return figures(callback.folder)


def test_the_overhead_adds_up_over_processes(tmp_path: Path) -> None:
    """What a checkpoint's process had spent by then counts on, and what its probes took is known to the budget."""
    task = worlds.make_task()

    def build(*callbacks: TrainerCallback) -> tuple[Any, interlace.CouplingCallback]:
        trainer = worlds.sft(tmp_path, task, save_strategy="steps", save_steps=2)
        callback = interlace.attach(trainer, task, every=1, overhead=0.9)
        for each in callbacks:
            trainer.add_callback(each)
        return trainer, callback

    trainer, _ = build(Kill(3))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer, resumed = build()
    trainer.train(resume_from_checkpoint=True)
    events = [event for event in read_events(resumed.folder / "events.jsonl") if event["kind"] == "overhead"]
    at_checkpoint = [event for event in events if event["step"] == 2][-1]
    end = events[-1]
    assert end["step"] == 4
    for name in SPENT:
        assert end[name] > at_checkpoint[name] > 0.0
    share = end["between_cpu_seconds"] / (end["stage_cpu_seconds"] - end["ends_cpu_seconds"])
    assert end["overhead"] == pytest.approx(share, rel=0.05)
    assert set(end["probe_cpu_seconds"]) == set(PRESETS["standard"])


def test_a_new_training_takes_a_folder_of_its_own(tmp_path: Path) -> None:
    task = worlds.make_task()
    folders = []
    for _ in range(2):
        trainer = worlds.sft(tmp_path, task)
        callback = interlace.attach(trainer, task, every=4, out=tmp_path / "run")
        trainer.train()
        folders.append(callback.folder)
    assert folders == [tmp_path / "run", tmp_path / "run-2"]


def test_resuming_what_was_begun_without_it_measures_the_start_first(tmp_path: Path) -> None:
    task = worlds.make_task()
    worlds.sft(tmp_path, task, save_strategy="steps", save_steps=2).train()
    trainer = worlds.sft(tmp_path, task, max_steps=6, save_strategy="steps", save_steps=2)
    callback = interlace.attach(trainer, task, every=1, overhead=None)
    trainer.train(resume_from_checkpoint=True)
    assert callback.folder is not None
    steps = sorted({point.step for point, _ in figures(callback.folder)})
    assert steps == [0, 5, 6]


def test_a_training_that_is_stopped_early_is_looked_at_where_it_ended(tmp_path: Path) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 3

    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    callback = interlace.attach(trainer, task, every=2, overhead=None)
    trainer.add_callback(Stop())
    trainer.train()
    assert callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert max(item.point.step for item in stage.measurements) == 3 and not stage.finished


def test_the_flags_error_is_spent_once_over_all_processes(tmp_path: Path) -> None:
    """Four looks were planned and three made; the two that a resume makes, one of them again, are the rest."""
    task = worlds.make_task()

    def watched(**options: Any) -> tuple[Any, Any]:
        trainer = worlds.sft(tmp_path, task, save_strategy="steps", save_steps=2, **options)
        return trainer, interlace.attach(trainer, task, every=1, overhead=None)

    trainer, _ = watched()
    trainer.add_callback(Kill(3))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer, resumed = watched()
    trainer.train(resume_from_checkpoint=True)
    assert spent(resumed) == {1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}
    trainer, longer = watched(max_steps=8)  # planned anew: nothing is left for it, which is said
    trainer.train(resume_from_checkpoint=True)
    assert longer.folder == resumed.folder
    assert spent(longer) == spent(resumed)
    (stage,) = read_run(longer.folder).stages
    assert [text for text in stage.flags if "from step 5 on no flag is watched" in text]


def test_tokens_sampled_before_a_resume_are_not_known(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task, save_strategy="steps", save_steps=2)
    trainer.add_callback(Kill(3))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer = worlds.grpo(tmp_path, task, save_strategy="steps", save_steps=2)
    callback = interlace.attach(trainer, task, every=4, overhead=None)
    trainer.train(resume_from_checkpoint=True)
    assert callback.rollouts is not None and callback.rollouts.tokens_sampled > 0 and callback.folder is not None
    (stage,) = read_run(callback.folder).stages
    assert stage.finished and "tokens_sampled" not in stage.ledger


@pytest.mark.parametrize("named", [True, False])
def test_what_was_sampled_goes_on_over_a_resume(tmp_path: Path, named: bool) -> None:
    """Killed between two looks; resumed from the last checkpoint, or from one that is named and was moved away."""
    task = worlds.make_task()

    def build(folder: Path) -> tuple[Any, interlace.CouplingCallback]:
        trainer = worlds.grpo(folder, task, save_strategy="steps", save_steps=3, max_steps=6)
        return trainer, interlace.attach(trainer, task, every=2, overhead=None)

    trainer, unbroken = build(tmp_path / "whole")
    trainer.train()
    trainer, _ = build(tmp_path / "killed")
    trainer.add_callback(Kill(4))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer, resumed = build(tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "out" / "checkpoint-3"
    if named:
        checkpoint = checkpoint.rename(tmp_path / "moved")
    trainer.train(resume_from_checkpoint=str(checkpoint) if named else True)
    assert resumed.folder is not None and unbroken.folder is not None
    assert not resumed.is_off and resumed.rollouts is not None and unbroken.rollouts is not None
    assert figures(resumed.folder) == figures(unbroken.folder)
    kept = [callback.rollouts.recent.arrays() for callback in (resumed, unbroken)]
    assert all(np.array_equal(kept[0][name], kept[1][name]) for name in ("sizes", "recent"))
    ledgers = [read_run(callback.folder).stages[0].ledger["tokens_sampled"] for callback in (resumed, unbroken)]
    assert ledgers[0] == ledgers[1] > 0


def spent(callback: Any) -> dict[int, float]:
    assert callback.session is not None and callback.session.looking.watch is not None
    return dict(callback.session.looking.watch.looks)
