"""Which runs a folder stands for: all of them, or a refusal that names the one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.errors import MissingFileError, RunFolderError
from interlace.readback import run_folders_in
from interlace.store import RunStore


def begun(folder: Path, seed: int) -> Path:
    store = RunStore.claim(folder, "name: r\n", "name: r\n", {"recipe": "r", "seed": seed})
    store.event("flag", stage="01-sft", text="begun")
    store.close()
    return folder


def test_a_folder_of_seeds_stands_for_all_of_them_and_a_seed_for_itself(tmp_path: Path) -> None:
    seeds = [begun(tmp_path / f"seed-{seed}", seed) for seed in (0, 1)]
    assert run_folders_in(tmp_path) == seeds and run_folders_in(seeds[1]) == [seeds[1]]


@pytest.mark.parametrize("named", ["", "seed-1"], ids=["among its seeds", "by itself"])
def test_a_seed_that_has_lost_its_manifest_is_refused_by_name(tmp_path: Path, named: str) -> None:
    lost = [begun(tmp_path / f"seed-{seed}", seed) for seed in (0, 1)][1]
    (lost / "manifest.json").unlink()
    with pytest.raises(RunFolderError) as caught:
        run_folders_in(tmp_path / named)
    assert str(caught.value) == (
        f"{lost} must have a manifest.json, as every run has. It holds events.jsonl without one. Restore the file, or "
        "move the folder away."
    )


def test_a_seed_that_is_just_being_begun_is_no_run_yet(tmp_path: Path) -> None:
    kept = begun(tmp_path / "seed-0", 0)
    (tmp_path / "seed-1").mkdir()
    (tmp_path / "seed-1" / "events.jsonl").touch()
    assert run_folders_in(tmp_path) == [kept]
    with pytest.raises(MissingFileError, match="RUN must be a run folder"):
        run_folders_in(tmp_path / "seed-1")
