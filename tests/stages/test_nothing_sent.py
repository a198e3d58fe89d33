"""No trainer of a stage reports home."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from huggingface_hub import constants
from huggingface_hub.utils import _telemetry
from trl import SFTConfig, SFTTrainer

from tests.stages.worlds import GRPO, start, trainer

OPTIONS = {"per_device_train_batch_size": 8, "max_steps": 1, "save_strategy": "no"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent from a machine that forbids nothing; it goes no further."""
    found: list[str] = []

    class Queue:
        def put(self, message: dict[str, str]) -> None:
            found.append(message["topic"])

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr(_telemetry, "_start_telemetry_thread", lambda: None)
    monkeypatch.setattr(_telemetry, "_TELEMETRY_QUEUE", Queue())
    return found


@pytest.mark.parametrize(("kind", "options"), [("sft", OPTIONS), ("rl", GRPO), ("hybrid", {**GRPO, "method": "joint"})])
def test_a_stage_sends_nothing(kind: str, options: dict[str, object], tmp_path: Path, sent: list[str]) -> None:
    trainer(kind, tmp_path, **options)
    assert sent == []


def test_TRL_by_itself_would(tmp_path: Path, sent: list[str]) -> None:
    """The control: without it the test above could not fail."""
    policy = start()
    rows = [{"prompt": "1+1=", "completion": "2"}]
    SFTTrainer(
        model=policy.model,
        args=SFTConfig(output_dir=str(tmp_path), report_to="none", bf16=False, **OPTIONS),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )
    assert sent == ["trl/SFTTrainer"]
