"""Which checkpoints a user's words name, in which order and under which names."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from interlace.checkpoints import find_checkpoints
from interlace.checkpoints.found import once
from interlace.checkpoints.line import check_ends
from interlace.errors import ModelError, RecipeError
from interlace.gguf_header import refuse_broken_gguf
from interlace.store import seal_checkpoint


def names(*paths: Path | str) -> list[str]:
    return [item.name for item in find_checkpoints(paths)]


def series(models: Path, folder: Path, *steps: int) -> Path:
    """Copies of model a whose last weight is another at each step."""
    for step in steps:
        weights = Path(shutil.copytree(models / "a", folder / f"checkpoint-{step}")) / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4] + struct.pack("<f", step + len(str(folder))))
    return folder


def test_a_series_is_ordered_by_step(models: Path, tmp_path: Path) -> None:
    folder = series(models, tmp_path / "out", 100, 20, 3)
    (folder / "checkpoint-best").mkdir()
    assert names(folder) == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]


def test_folders_keep_the_users_order_and_names_differ(models: Path, tmp_path: Path) -> None:
    one, two = series(models, tmp_path / "one", 5), series(models, tmp_path / "other", 5)
    assert names(models / "b", models / "a") == ["b", "a"]
    assert names(one, two) == ["one/checkpoint-5", "other/checkpoint-5"]


def test_the_same_weights_are_listed_once_under_the_first_name(models: Path, adapters: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models / "a")
    copy = shutil.copytree(models / "a", tmp_path / "copy")
    found = find_checkpoints(
        [models / "a", f"{models / 'a'}{os.sep}", tmp_path / "link", f"again={copy}", models / "b"]
    )
    assert [item.name for item in found] == ["a", "b"]
    assert found[0].also == (str(models / "a"), str(tmp_path / "link"), str(copy))
    assert found[0].to_json()["also"] == list(found[0].also) and "also" not in found[1].to_json()
    with pytest.raises(RecipeError, match=r"two checkpoints. Got 1, the weights of .*/copy too"):
        check_ends(find_checkpoints([models / "a", copy]), 1)
    one = shutil.copytree(adapters / "first", tmp_path / "one")
    on_another_base = find_checkpoints([one])[0]
    assert len(find_checkpoints([adapters / "first", one])) == 1
    assert len(once([[on_another_base], [replace(on_another_base, base=models / "b")]])) == 2
    assert len(once([[found[0], found[0]]])) == 2  # stages of one run


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


def gguf_of(weights: np.ndarray, place: Path) -> bytes:
    """A whole .gguf with settings of several types and one tensor."""
    writer = gguf.GGUFWriter(place / "written", "llama")
    writer.add_name("small")
    writer.add_array("words", ["one", "two"])
    writer.add_array("numbers", [1.5, 2.5])
    writer.add_tensor("weight", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    written = (place / "written").read_bytes()
    (place / "written").unlink()
    return written


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"", "must be a whole .gguf file. Got no magic 'GGUF' in 0 bytes"),
        (lambda whole: b"GGML" + whole[4:], "Got no magic 'GGUF'"),
        (lambda whole: whole[:4] + b"\x09" + whole[5:], "Got version 9"),
        (lambda whole: whole[:60], "Got a header that ends too early in 60 bytes"),
        (lambda whole: whole[:8] + b"\xff" * 8 + whole[16:], "Got a count of"),
        (lambda whole: whole[:-64], r"must be whole: at least \d+ bytes by its header"),
    ],
)
def test_a_broken_gguf_is_refused_by_name_before_anything_is_loaded(
    models: Path, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    file = tmp_path / "model-q4.gguf"
    file.write_bytes(damage(gguf_of(np.ones(64, dtype=np.float32), tmp_path)))
    with pytest.raises(ModelError, match=rf"{file} must .*" + message.removeprefix("must ")):
        find_checkpoints([models / "a", file])


@pytest.mark.parametrize("dimensions", [5, 500, 2**32 - 1])
def test_more_dimensions_than_a_tensor_has_are_refused_before_they_are_read(tmp_path: Path, dimensions: int) -> None:
    """Four are GGML's own maximum; the product of 500 of 2^32 - 1 is a number that Python does not print."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"t" + struct.pack("<I", dimensions)
    file = tmp_path / "many.gguf"
    file.write_bytes(head + struct.pack("<Q", 2**32 - 1) * 500 + struct.pack("<IQ", 0, 0))
    with pytest.raises(ModelError, match=rf"many.gguf must be a whole .gguf file. Got a tensor of {dimensions} dim"):
        refuse_broken_gguf(file)


def test_a_gguf_file_is_one_checkpoint(tmp_path: Path, models: Path) -> None:
    file = tmp_path / "model-q4.gguf"
    file.write_bytes(gguf_of(np.ones(64, dtype=np.float32), tmp_path))
    (found,) = find_checkpoints([file])
    assert (found.name, found.kind) == ("model-q4", "gguf")
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "evil.T"}}')
    with pytest.raises(ModelError, match="Got key 'auto_map'"):
        find_checkpoints([file])


def test_checkpoints_that_write_prompts_otherwise_are_two(models: Path, tmp_path: Path) -> None:
    for name in ("plain", "templated"):
        shutil.copytree(models / "a", tmp_path / name)
    assert len(find_checkpoints([tmp_path / "plain", tmp_path / "templated"])) == 1
    (tmp_path / "templated" / "chat_template.jinja").write_text("{{ messages }}")
    assert len(find_checkpoints([tmp_path / "plain", tmp_path / "templated"])) == 2


def test_headers_that_promise_too_much_are_refused_by_name(tmp_path: Path) -> None:
    """An array of 2^32 numbers, arrays within arrays, and a string longer than the file."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k"
    for number, value in enumerate((
        struct.pack("<IIQ", 9, 10, 2**32),
        struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 3000,
        struct.pack("<IQ", 8, 2**31),
    )):  # fmt: skip
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(head + value)
        with pytest.raises(ModelError, match=f"{number}.gguf must be a whole .gguf file"):
            refuse_broken_gguf(path)


def run_with(folder: Path, model: Path, *stages: tuple[str, str, int]) -> Path:
    """A run's folder with a checkpoint in each stage, which is given by kind, name and step."""
    entries = "".join(f"- {kind}:\n    name: {name}\n" for kind, name, _ in stages)
    (folder / "stages").mkdir(parents=True)
    (folder / "resolved.yaml").write_text(f"stages:\n{entries}")
    for number, (_, name, step) in enumerate(stages, start=1):
        shutil.copytree(model, folder / "stages" / f"{number:02d}-{name}" / f"checkpoint-{step}")
    return folder


def test_checkpoints_of_a_run_are_called_by_stage_kind_and_step(models: Path, tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", models / "a", ("sft", "warm-up", 200), ("rl", "rl", 1000), ("sft", "sft-2", 5))
    stages = run / "stages"
    shutil.copytree(models / "b", stages / "02-rl" / "averaged")
    found = [names(stages / path)[0] for path in ("01-warm-up", "02-rl", "02-rl/averaged", "03-sft-2/checkpoint-5")]
    assert found == ["warm-up (sft) step 200", "rl step 1,000", "rl/averaged", "sft-2 step 5"]
    other = run_with(tmp_path / "other", models / "c", ("rl", "rl", 1000))
    assert names(stages / "02-rl/checkpoint-1000", other / "stages/01-rl") == [
        "run/rl step 1,000",
        "other/rl step 1,000",
    ]
    shutil.copytree(models / "a", tmp_path / "stages" / "01-rl" / "checkpoint-7")  # no run around it
    assert names(tmp_path / "stages" / "01-rl") == ["checkpoint-7"]
