"""A hybrid stage on two processes: both hold the same weights, and an update is that of the global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.stages.parallel import METHODS, WRITTEN


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

    for name in METHODS | WRITTEN:
        assert torch.equal(moved(name, 0, 2), moved(name, 1, 2)) and moved(name, 0, 2).norm() > 0
    # imitation samples nothing, and of the others the completions are written: one process does the same to these rows
    for name in ("sft", "lspo", *WRITTEN):
        torch.testing.assert_close(moved(name, 0, 2), moved(name, 0, 1), rtol=0, atol=1e-5)
    # each process samples its own completions, the same ones whatever the weights of the losses
    mixed = 0.5 * moved("rl", 0, 2) + 0.5 * moved("sft", 0, 2)
    torch.testing.assert_close(moved("half", 0, 2), mixed, rtol=0, atol=1e-5)
    torch.testing.assert_close(moved("short", 0, 2), 0.1 * moved("rl", 0, 2), rtol=0, atol=1e-6)
    # ... and completions that are written have a part in the update
    assert (moved("written", 0, 2) - 0.5 * moved("sft", 0, 2)).norm() > 1e-2
