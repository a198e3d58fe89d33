"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may depend on a network
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parent.parent

MINIMAL = """\
tasks:
  sums:
    kind: addition
    digits: 2
stages:
  - sft:
      task: sums
      max_steps: 4
      averaged_weights:
        decay: 0.9
  - rl:
      task: sums
      max_steps: 2
measure:
  every: 2
seeds: [0]
"""
"""A recipe of one key a line: line 9 is `averaged_weights`, line 12 the RL stage's `task`."""


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes `MINIMAL`, or MINIMAL with one text replaced, to mini.yaml and gives its path."""

    def write(old: str = "", new: str = "") -> Path:
        assert old in MINIMAL
        path = tmp_path / "mini.yaml"
        path.write_text(MINIMAL.replace(old, new, 1) if old else MINIMAL)
        return path

    return write
