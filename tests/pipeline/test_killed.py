"""A process killed (-9) in a later pass over the prompts: the same command ends where an unbroken run does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interlace.pipeline import run_recipe
from interlace.recipe import load_recipe
from interlace.store import read_run
from tests.pipeline.test_runs import SMALL, figures

KILLS = [("after a step", "02-rl", 5), ("after a checkpoint", "03-joint", 3), ("during a look", "04-relift", 4)]
"""Two steps are a pass over the prompts: what is gone on from is in the middle of the second."""


def stages() -> list[object]:
    common = {"task": "sums", "per_device_train_batch_size": 64, "learning_rate": 1e-2, "save_steps": 3}
    group = {**common, "num_generations": 4, "max_steps": 8}
    relift = {"method": {"name": "relift", "buffer_size": 12}, "averaged_weights": {"decay": 0.5}}
    return [
        {"sft": {**common, "max_steps": 8}},
        {"rl": group},
        {"hybrid": {**group, "name": "joint", "method": "joint"}},
        {"hybrid": {**group, "name": "relift", **relift}},
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An unbroken run, and one whose processes were killed in three of its stages."""
    place = tmp_path_factory.mktemp("kills")
    recipe = {
        "model_options": SMALL,
        "threads": 1,  # sums are rounded as their threads split them
        "tasks": {"sums": {"kind": "addition", "digits": 1, "heldout": 16, "train_prompts": 32}},
        "stages": stages(),
        "measure": {"every": 4, "preset": "light", "completions": 2},
    }
    (place / "kills.yaml").write_text(json.dumps(recipe))
    run_recipe(load_recipe(str(place / "kills.yaml")), place / "whole")
    for kill in [*KILLS, None]:
        assert run(place, kill) == (0 if kill is None else -signal.SIGKILL)
    return place / "whole", place / "killed"


def run(place: Path, kill: tuple[str, str, int] | None) -> int:
    """`interlace run` in a process of its own, perhaps killed; how it ended."""
    untouched = ["-c", "from interlace.cli import main; main()"]
    program = untouched if kill is None else ["-m", "tests.pipeline.killed", *map(str, kill)]
    command = [sys.executable, *program, "run", str(place / "kills.yaml"), "--out", str(place / "killed")]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["02-rl", "03-joint", "04-relift"])
def test_a_killed_stage_ends_with_the_weights_of_an_unbroken_one(folders: tuple[Path, Path], stage: str) -> None:
    whole, killed = (folder / "stages" / stage for folder in folders)
    names = ["checkpoint-8/model.safetensors"]
    if stage == "04-relift":
        names += ["averaged/model.safetensors", "checkpoint-8/averaged_weights.safetensors"]
    for name in names:
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_run_leaves_the_figures_of_an_unbroken_one(folders: tuple[Path, Path]) -> None:
    whole, killed = map(read_run, folders)
    assert figures(whole) == figures(killed)
    spent = [[stage.ledger["flops"] for stage in record.stages] for record in (whole, killed)]
    assert spent[0] == spent[1]
    assert whole.stages[-1].ledger["expert_examples"] > 0, "the buffer was filled and imitated"
    resumed = [flag for stage in killed.stages for flag in stage.flags if flag.startswith("continued from")]
    assert len(resumed) == len(KILLS)
