"""Which checkpoints a user's words name, in which order and under which names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from interlace.checkpoints import find_checkpoints
from interlace.errors import ModelError, RecipeError
from interlace.store import seal_checkpoint


def names(*paths: Path | str) -> list[str]:
    return [item.name for item in find_checkpoints(paths)]


def series(models: Path, folder: Path, *steps: int) -> Path:
    for step in steps:
        shutil.copytree(models / "a", folder / f"checkpoint-{step}")
    return folder


def test_a_series_is_ordered_by_step(models: Path, tmp_path: Path) -> None:
    folder = series(models, tmp_path / "out", 100, 20, 3)
    (folder / "checkpoint-best").mkdir()
    assert names(folder) == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]


def test_folders_keep_the_users_order_and_names_differ(models: Path, tmp_path: Path) -> None:
    one, two = series(models, tmp_path / "one", 5), series(models, tmp_path / "two", 5)
    assert names(models / "b", models / "a") == ["b", "a"]
    assert names(one, two) == ["one/checkpoint-5", "two/checkpoint-5"]
    assert names(models / "a", models / "a") == ["models0/a", "models0/a (2)"]


def test_a_name_for_a_checkpoint(models: Path, tmp_path: Path) -> None:
    (found,) = find_checkpoints([f"before={models / 'a'}"])
    assert (found.name, found.path) == ("before", models / "a")
    with pytest.raises(RecipeError, match="NAME=CKPT must name one checkpoint. Got 2"):
        find_checkpoints([f"x={series(models, tmp_path / 'out', 1, 2)}"])


def test_an_adapter_finds_its_base(adapters: Path, models: Path) -> None:
    (found,) = find_checkpoints([adapters / "first"])
    assert (found.kind, found.base) == ("adapter", models / "a")


def test_a_checkpoint_that_is_not_as_it_was_written(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "a", tmp_path / "sealed"))
    seal_checkpoint(folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match="must be as it was written: sealed/config.json has"):
        find_checkpoints([folder])


def test_no_checkpoint() -> None:
    with pytest.raises(RecipeError, match="CKPT must name at least one checkpoint"):
        find_checkpoints([])


def test_a_gguf_file_is_one_checkpoint(tmp_path: Path, models: Path) -> None:
    file = tmp_path / "model-q4.gguf"
    file.write_bytes(b"GGUF")
    (found,) = find_checkpoints([file])
    assert (found.name, found.kind) == ("model-q4", "gguf")
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "evil.T"}}')
    with pytest.raises(ModelError, match="Got key 'auto_map'"):
        find_checkpoints([file])
