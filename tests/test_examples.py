"""The examples run as a user runs them, a few steps long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlace.store import read_run

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "run", "lines"), [("grpo.py", "grpo/interlace", 30), ("sft_peft.py", "sft/interlace", 20)]
)
def test_an_example_leaves_a_run_and_its_report(name: str, run: str, lines: int, tmp_path: Path) -> None:
    script = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in script.splitlines()) <= lines
    (tmp_path / name).write_text(script.replace("max_steps=100", "max_steps=3"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "coupling/sft_loss" in done.stdout
    (stage,) = read_run(tmp_path / run).stages
    assert stage.finished and stage.steps_done == 3
    assert (tmp_path / run / "report.html").exists()
