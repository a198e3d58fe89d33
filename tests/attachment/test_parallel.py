"""Several processes: rank 0 looks and writes, and all of them train as they would have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlace.estimate import Estimate
from interlace.store import read_run
from tests.attachment import worlds


@pytest.mark.slow
def test_rank_0_writes_and_both_train_as_before(root: Path, tmp_path: Path) -> None:
    worlds.make_model(tmp_path / "model", worlds.make_task())
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}", "OMP_NUM_THREADS": "1"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(
        [*command, "-m", "tests.attachment.parallel", str(tmp_path)],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert [(tmp_path / f"rank-{rank}").read_text() for rank in (0, 1)] == ["2 True", "2 False"]
    (stage,) = read_run(tmp_path / "out" / "interlace").stages
    found = {item.quantity: item.figure for item in stage.measurements}
    assert "tokens_sampled" not in stage.ledger  # rank 0 knows its own alone
    gathered = found["train_reward"]
    assert isinstance(gathered, Estimate) and gathered.n == 2 * 16 // 4  # groups of both processes
