"""Hostile and broken folders are refused by name before anything of them is loaded."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import interlace
from interlace.checkpoints import find_checkpoints
from interlace.errors import MissingFileError, ModelError
from interlace.tasks import Task


@pytest.fixture(autouse=True)
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would unpickle or load a model fails the test, and so does a connection."""

    def forbidden(*arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("loaded")

    monkeypatch.setattr("torch.load", forbidden)
    monkeypatch.setattr("pickle.load", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "a", tmp_path / "copy"))


def change(folder: Path, name: str, **entries: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def refusal(folder: Path, kind: type[Exception] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        find_checkpoints([folder])
    return str(caught.value)


HOSTILE: dict[str, tuple[str, dict[str, Any], str]] = {
    "auto_map": ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
    "nested auto_map": ("config.json", {"text_config": {"auto_map": {"A": "b.C"}}}, "text_config.auto_map"),
    "in a list": ("config.json", {"parts": [{"auto_map": {"A": "b.C"}}]}, "parts[0].auto_map"),
    "another repository": ("config.json", {"auto_map": "who/ever--evil.Model"}, "auto_map"),
    "nested trust_remote_code": ("config.json", {"vision": {"trust_remote_code": True}}, "vision.trust_remote_code"),
    "attention from a hub": ("config.json", {"attn_implementation": "who/kernels"}, "attn_implementation"),
    "private attention": ("config.json", {"_attn_implementation": "who/k:f"}, "_attn_implementation"),
    "attention of a part": (
        "config.json",
        {"_attn_implementation": {"text_config": "who/k"}},
        "_attn_implementation.text_config",
    ),
    "tokenizer": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "auto_map"),
    "generation": ("generation_config.json", {"custom_generate": "who/evil"}, "custom_generate"),
    "kernels": ("config.json", {"use_kernels": True}, "use_kernels"),
}


@pytest.mark.parametrize(("name", "entries", "key"), HOSTILE.values(), ids=HOSTILE)
def test_code_is_refused_with_its_key(copy: Path, name: str, entries: dict[str, Any], key: str) -> None:
    change(copy, name, **entries)
    assert f"{copy / name} must ask for no code of its own. Got key {key!r}" in refusal(copy)


def test_what_is_harmless_passes(copy: Path) -> None:
    change(copy, "config.json", auto_map={}, trust_remote_code=False, _attn_implementation="sdpa")
    (copy / "modeling_evil.py").write_text("raise SystemExit")
    (copy / "training_args.bin").write_bytes(pickle.dumps({}))
    assert [item.name for item in find_checkpoints([copy])] == ["copy"]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth", "model.ckpt", "model.pkl"])
def test_pickles_are_refused_with_their_name(copy: Path, name: str) -> None:
    (copy / "model.safetensors").unlink()
    (copy / name).write_bytes(pickle.dumps({"weights": 1}))
    assert f"{copy / name} must be safetensors: loading a pickle can run code" in refusal(copy)


def test_a_pickled_adapter_is_refused(adapters: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "adapter_model.bin must be safetensors" in refusal(folder)


def test_a_models_file_hides_no_pickled_or_broken_adapter(adapters: Path, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    shutil.copy(models / "a" / "model.safetensors", folder)
    weights = folder / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert f"{weights} must be whole" in refusal(folder)
    weights.rename(folder / "adapter_model.bin")
    assert "adapter_model.bin must be safetensors" in refusal(folder)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"peft_type": "XLORA", "adapters": {"0": "/elsewhere"}}, "Got key 'adapters'"),
        ({"peft_type": "XLORA"}, "must have a peft_type of LORA. Got 'XLORA'"),
    ],
)
def test_an_adapter_that_names_others_is_refused(
    adapters: Path, tmp_path: Path, entries: dict[str, Any], words: str
) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    change(folder, "adapter_config.json", **entries)
    assert words in refusal(folder)


def test_an_adapters_settings_are_an_object(adapters: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    (folder / "adapter_config.json").write_text("[]")
    assert "must hold a JSON object. Got list" in refusal(folder)


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ({"auto_mapping": {"base_model_class": "X", "parent_library": "evil"}}, "auto_mapping.parent_library"),
        ({"megatron_config": {"a": 1}, "megatron_core": "evil"}, "megatron_config"),
    ],
)
def test_an_adapter_that_imports_is_refused(adapters: Path, tmp_path: Path, entries: dict[str, Any], key: str) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    change(folder, "adapter_config.json", **entries)
    assert f"Got key {key!r}" in refusal(folder)


def test_the_base_of_an_adapter_is_looked_at_too(adapters: Path, copy: Path, tmp_path: Path) -> None:
    change(copy, "config.json", auto_map={"A": "b.C"})
    with pytest.raises(ModelError, match="Got key 'auto_map'"):
        find_checkpoints([adapters / "first"], base=copy)


def test_an_adapter_whose_base_is_not_here(adapters: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters / "first", tmp_path / "adapter"))
    change(folder, "adapter_config.json", base_model_name_or_path="who/nowhere")
    assert "Got 'who/nowhere', which is neither that nor in the cache of the hub" in refusal(folder, MissingFileError)


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"0",
    "only a header's length": lambda whole: whole[:8],
    "empty": lambda whole: b"",
    "a header longer than the file": lambda whole: struct.pack("<Q", 2**40) + whole[8:],
    "no JSON": lambda whole: whole[:8] + b"x" * 64 + whole[72:],
    "offsets that are none": lambda whole: struct.pack("<Q", 33) + b'{"w": {"data_offsets": ["a","b"]}}',
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_safetensors_are_refused_by_name(copy: Path, damage: Callable[[bytes], bytes]) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert str(refusal(copy)).startswith(str(path))


@pytest.mark.parametrize("name", ["../a/model.safetensors", "/etc/model.safetensors", "shard.bin", 3])
def test_an_index_names_only_safetensors_beside_it(copy: Path, name: object) -> None:
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": name}}))
    assert f"{index} must name files of safetensors beside it. Got {name!r}" in refusal(copy)


def test_a_missing_shard_is_said(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "model-1.safetensors"}}))
    assert f"{copy / 'model-1.safetensors'} must be there" in refusal(copy, MissingFileError)


@pytest.mark.parametrize(
    ("shard", "command"),
    [
        ("model_world_size_2_rank_0.pt", "python -m verl.model_merger merge --backend fsdp --local_dir"),
        ("zero_to_fp32.py", "zero_to_fp32.py"),
        ("pytorch_model_fsdp_0", "accelerate merge-weights"),
    ],
)
def test_shards_are_answered_with_the_command_that_merges_them(copy: Path, shard: str, command: str) -> None:
    (copy / "model.safetensors").unlink()
    (copy / shard).write_bytes(b"")
    assert command in refusal(copy)


def test_no_folder_and_no_weights(tmp_path: Path) -> None:
    assert "which is not there" in refusal(tmp_path / "none", MissingFileError)
    (tmp_path / "empty").mkdir()
    assert "must hold model.safetensors or adapter_model.safetensors" in refusal(tmp_path / "empty", MissingFileError)


def test_everything_is_looked_at_before_the_first_is_loaded(models: Path, copy: Path, task: Task) -> None:
    change(copy, "config.json", auto_map={"A": "b.C"})
    with pytest.raises(ModelError, match="auto_map"):
        interlace.measure([models / "a", copy], task)
