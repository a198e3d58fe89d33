"""What is said of a look that the other processes may not wait for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import interlace
from interlace.attachment.patience import Patience
from interlace.store import read_run
from tests.attachment import worlds


def test_a_look_near_the_timeout_is_told_once() -> None:
    patience = Patience.of(100, 2)
    assert patience.tried(0, 25.0) is None
    text = patience.tried(10, 30.0)
    assert text is not None and text.startswith("the look at step 10 took 30 s while the other processes waited")
    assert "ddp_timeout=100 s" in text and patience.tried(20, 90.0) is None


def test_nobody_waits_for_a_process_alone() -> None:
    assert Patience.of(100, 1).tried(0, 1e9) is None


def test_it_is_in_the_run_folder_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Patience, "of", lambda timeout, processes: Patience(0.0))
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        callback = interlace.attach(trainer, task, every=2, overhead=None)
        trainer.train()
    assert callback.folder is not None and not callback.is_off
    (flag,) = (text for text in read_run(callback.folder).stages[0].flags if "other processes waited" in text)
    assert flag.startswith("the look at step 0 took")
    assert sum("other processes waited" in record.getMessage() for record in caplog.records) == 1
