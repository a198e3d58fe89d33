"""A fork experiment that is killed or stopped goes on where it was, and ends as an unbroken one does."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import interlace
from interlace.analysis.summary import ForkSummary
from interlace.api import fork_request
from interlace.errors import Interrupted
from interlace.forking import experiment
from interlace.forking.experiment import UNFINISHED
from interlace.observer import Observer
from interlace.store import read_run

from .worlds import files_in, letters

TASKS = {"letters": letters()}
ASKED = {"count": 4, "steps": 4, "mirrored": True, "tasks": TASKS}


def scratch_of(run: Path) -> Path:
    return run / "stages" / "02-rl" / UNFINISHED


def failing_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which fails when it was called so often."""
    left = iter(range(calls))

    def call(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise ZeroDivisionError
        return function(*arguments, **named)

    return call


@pytest.fixture(scope="module")
def unbroken(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> ForkSummary:
    """The experiment in one go."""
    return interlace.fork(shutil.copytree(trained, tmp_path_factory.mktemp("unbroken") / "run"), **ASKED)


@pytest.mark.parametrize(("part", "calls"), [("train_fork", 6), ("_scores", 30)])
def test_what_is_done_is_kept_and_not_done_again(
    run: Path, unbroken: ForkSummary, monkeypatch: pytest.MonkeyPatch, part: str, calls: int
) -> None:
    done, before = getattr(experiment, part), files_in(run)
    monkeypatch.setattr(experiment, part, failing_after(calls, done))
    with pytest.raises(ZeroDivisionError):
        interlace.fork(run, **ASKED)
    kept = files_in(run)
    assert {name: kept[name] for name in before} == before and not read_run(run).stages[1].forks
    assert not list((run / "samples").rglob("*fork*"))

    total = 12 if part == "train_fork" else 1 + 4 * 9  # forks; the start, then four arms (with pairs) of nine readings
    monkeypatch.setattr(experiment, part, failing_after(total - calls, done))
    again = interlace.fork(run, **ASKED)
    assert again.to_json() == unbroken.to_json()
    assert not scratch_of(run).exists()


def test_weights_of_an_arm_are_dropped_once_it_is_measured(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "train_fork", failing_after(6, experiment.train_fork))
    with pytest.raises(ZeroDivisionError):
        interlace.fork(run, count=4, steps=4, tasks=TASKS)
    kept = {path.parent.name for path in scratch_of(run).rglob("*.safetensors")}
    assert kept == {"placebo-0", "placebo-1"}


def test_what_is_kept_is_no_more_asked_of_the_disk_or_to_be_looked_at(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six forks of two arms are done and the first arm is measured; the disk has room for the other two."""
    asked = {"count": 4, "steps": 4}
    whole = fork_request(run, None, 0, asked, TASKS).plan()
    with monkeypatch.context() as broken:
        broken.setattr(experiment, "train_fork", failing_after(6, experiment.train_fork))
        with pytest.raises(ZeroDivisionError):
            interlace.fork(run, **asked, tasks=TASKS)
    left = fork_request(run, None, 0, asked, TASKS).plan()
    assert left.num_done == 6 and 0.4 < left.disk_bytes / whole.disk_bytes <= 0.5
    assert whole.look_seconds is not None and left.look_seconds is not None
    assert left.look_seconds / whole.look_seconds == pytest.approx(9 * len(whole.marks) / (1 + 18 * len(whole.marks)))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=whole.disk_bytes // 2))
    assert interlace.fork(run, **asked, tasks=TASKS).count == 4


def test_ctrl_c_leaves_the_run_whole_and_says_how_to_go_on(run: Path) -> None:
    class Impatient(Observer):
        """Presses Ctrl-C at the second fork's first step."""

        def step(self, stage: str, step: int) -> None:
            if step == 5:
                os.kill(os.getpid(), signal.SIGINT)

    before = files_in(run)
    with pytest.raises(Interrupted, match="1 of 12 are done and kept.*Give the same command again to go on") as stopped:
        interlace.fork(run, **ASKED, observer=Impatient())
    assert stopped.value.exit_code == 130
    after = files_in(run)
    assert {name: after[name] for name in before} == before
    said: list[str] = []
    told = Observer()
    told.note = said.append  # type: ignore[method-assign]
    assert interlace.fork(run, **ASKED, observer=told).count == 4
    assert "1 of them kept from before" in said[0] and "44 steps to train" in said[0]
    assert not any("stage fork 1 of 4" in sentence for sentence in said)


def test_the_same_forks_are_not_made_twice(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = interlace.fork(run, count=4, steps=4, placebo=None, tasks=TASKS)
    monkeypatch.setattr(experiment, "train_fork", lambda *_: 1 / 0)
    assert interlace.fork(run, count=4, steps=4, placebo=None, tasks=TASKS).to_json() == first.to_json()
    left = fork_request(run, None, 0, {"count": 4, "steps": 4, "placebo": None}, TASKS).plan()
    assert (left.num_done, left.total_steps, left.seconds, left.disk_bytes) == (4, 0, 0.0, 0)
    assert left.sentences[0].endswith("these forks were made before; nothing is left to train.")
    assert fork_request(run, None, 0, {"count": 4, "steps": 4}, TASKS).plan().total_steps == 32
    with pytest.raises(ZeroDivisionError):
        interlace.fork(run, count=4, steps=4, tasks=TASKS)


def test_another_experiment_leaves_an_unfinished_one_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(experiment, "train_fork", failing_after(1, experiment.train_fork))
        with pytest.raises(ZeroDivisionError):
            interlace.fork(run, count=5, steps=4, placebo=None, tasks=TASKS)
    interlace.fork(run, count=4, steps=4, placebo=None, tasks=TASKS)
    assert len(list(scratch_of(run).iterdir())) == 1
    monkeypatch.setattr(experiment, "train_fork", failing_after(4, experiment.train_fork))
    assert interlace.fork(run, count=5, steps=4, placebo=None, tasks=TASKS).count == 5
    assert not scratch_of(run).exists()
