"""A hybrid stage on two processes: both hold the same weights, and an update is that of the global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from tests.stages.parallel import METHODS, WRITTEN
from tests.stages.worlds import Counter, start, task


def run(root: Path, folder: Path, processes: int, port: int) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}", "OMP_NUM_THREADS": "1"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(
        [*launch, "--master-port", str(port), "-m", "tests.stages.parallel", str(folder), str(processes)],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_make_the_update_of_the_global_batch(root: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        run(root, tmp_path, processes, 29531 + processes)

    def moved(name: str, rank: int, processes: int) -> torch.Tensor:
        return load_file(tmp_path / f"{name}-{rank}-of-{processes}.safetensors")["moved"]

    def counted(name: str, rank: int, processes: int) -> dict[str, float]:
        return json.loads((tmp_path / f"{name}-{rank}-of-{processes}.json").read_text())

    for name in METHODS | WRITTEN:
        assert torch.equal(moved(name, 0, 2), moved(name, 1, 2)) and moved(name, 0, 2).norm() > 0
        assert counted(name, 0, 2) == counted(name, 1, 2)
    # imitation samples nothing, and of the others the completions are written: one process does the same to these rows
    for name in ("sft", "lspo", *WRITTEN):
        torch.testing.assert_close(moved(name, 0, 2), moved(name, 0, 1), rtol=0, atol=1e-5)
        assert counted(name, 0, 2) == pytest.approx(counted(name, 0, 1)), name
    # each process samples its own completions, the same ones whatever the weights of the losses
    mixed = 0.5 * moved("rl", 0, 2) + 0.5 * moved("sft", 0, 2)
    torch.testing.assert_close(moved("half", 0, 2), mixed, rtol=0, atol=1e-5)
    torch.testing.assert_close(moved("short", 0, 2), 0.1 * moved("rl", 0, 2), rtol=0, atol=1e-6)
    for name in METHODS:  # ... to the same prompts, beside as many rows of the expert's
        for counter in ("tokens_prefilled", "expert_examples"):
            assert counted(name, 0, 2).get(counter) == counted(name, 0, 1).get(counter)
    # ... and completions that are written have a part in the update
    assert (moved("written", 0, 2) - moved("rows", 0, 2)).norm() > 1e-2
    # one of each of three groups is the expert's, where it answers
    found = [counted(name, 0, 2)["expert_examples"] for name in ("luffy", "written-luffy", "written-luffy-few")]
    assert found == [4, 3, 2]
    assert 0.0 < counted("written-hpt", 0, 2)["imitation_share"] < 1.0


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_an_epoch_is_one_on_any_number_of_processes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 rows, or 32 prompts of 4 completions, in batches of 4 on each process."""
    rows = 32 if kind == "sft" else 32 * 4
    options = {"per_device_train_batch_size": 4, "num_train_epochs": 1.0}
    options |= {"num_generations": 4} if kind == "rl" else {}
    request = StageRequest("s", task(), options, tmp_path, 0)
    for processes in (1, 2):
        monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self, found=processes: found))
        assert load_stage(kind).configure(request).max_steps == rows // (4 * processes)


def test_rows_that_are_mixed_are_enough_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row once: 3 steps of 4 rows on each of two processes."""
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: 2))
    other = replace(task(), name="other")
    options = {"per_device_train_batch_size": 4, "max_steps": 3}
    request = StageRequest("s", task(), options, tmp_path, 0, mixed=((other, 0.25),))
    arguments = load_stage("sft").configure(request)
    assert len(load_stage("sft").trainer(request, arguments, start(), Counter()).train_dataset) == 3 * 4 * 2
