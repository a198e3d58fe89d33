"""One small finished run, forked by several tests on copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import interlace

from .worlds import letters, recipe, rl


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SFT, then RL of 8 steps looked at every 4."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    interlace.run(recipe(rl(optim="sgd", learning_rate=0.05)), out=folder, tasks={"letters": letters()})
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "run"))
