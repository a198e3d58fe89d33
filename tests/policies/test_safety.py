"""`interlace run` looks at a model as `measure` does: hostile folders are refused by name, nothing is executed."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import interlace
from interlace.errors import MissingFileError, ModelError
from interlace.policies import load_policy, make_embedded, source_of

TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8,
        "intermediate_size": 8}  # fmt: skip
RAN = "EXECUTED"
"""The file that hostile code would leave."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole model with code beside it that must never run; no connection is allowed."""

    def forbidden(*arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("a connection, or a pickle")

    made = make_embedded(tmp_path / "model", "0123456789+=", 0, TINY)
    (made / "evil.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / RAN)!r}).touch()\nModel = None")
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr("torch.load", forbidden)
    monkeypatch.setattr("pickle.load", forbidden)
    return made


def change(path: Path, **entries: Any) -> None:
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | entries))


def with_json(name: str, **entries: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / name, **entries)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def _write_list(path: Path) -> None:
    path.write_text("[]")


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def endless(folder: Path) -> None:
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "generation_config.json").symlink_to("/dev/zero")


def outside(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/dev/zero")


def cut_short_beside_an_index(folder: Path) -> None:
    """Transformers reads the one file, whatever the index says."""
    shutil.copy(folder / "model.safetensors", folder / "model-1.safetensors")
    change(folder / "model.safetensors.index.json", weight_map={"w": "model-1.safetensors"})
    cut_short(folder)


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "auto_map": (with_json("config.json", auto_map={"AutoModelForCausalLM": "evil.Model"}), "'auto_map'"),
    "an unknown architecture": (
        with_json("config.json", model_type="evil", auto_map={"AutoConfig": "evil.Model"}), "'auto_map'"),
    "nested trust_remote_code": (with_json("config.json", a={"trust_remote_code": True}), "'a.trust_remote_code'"),
    "attention from a hub": (with_json("config.json", attn_implementation="who/kernels"), "'attn_implementation'"),
    "its private name": (
        with_json("config.json", _attn_implementation_internal="who/kernels"), "'_attn_implementation_internal'"),
    "tokenizer": (with_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Model", None]}), "'auto_map'"),
    "pickles only": (pickled, "pytorch_model.bin must be safetensors"),
    "cut short": (cut_short, "model.safetensors must be whole"),
    "an adapter on a hub's base": (
        with_json("adapter_config.json", base_model_name_or_path="who/evil", peft_type="LORA"),
        "adapter_config.json, an adapter on 'who/evil'"),
    "another configuration": (
        with_json("config.json", configuration_files=["config.4.0.0.json"]), "'configuration_files'"),
    "a configuration of another version": (
        with_json("config.4.0.0.json", attn_implementation="who/kernels"), "config.4.0.0.json must ask for no code"),
    "other weights": (with_json("config.json", transformers_weights="x.safetensors.index.json"),
                      "'transformers_weights'"),
    "an index that hides a broken file": (cut_short_beside_an_index, "model.safetensors must be whole"),
    "settings that are a list": (lambda folder: _write_list(folder / "config.json"), "must hold a JSON object"),
    "JSON without end": (endless, "generation_config.json must be a file"),
    "weights without end": (outside, "model.safetensors must be there"),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_run_refuses_a_hostile_model_before_anything_is_loaded(
    folder: Path, tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(folder)
    task = {"kind": "addition", "digits": 1, "heldout": 8, "train_prompts": 20}
    recipe = {
        "name": "r",
        "model": str(folder),
        "tasks": {"sums": task},
        "stages": [{"sft": {"task": "sums", "max_steps": 1}}],
    }
    refusals = [
        lambda: interlace.run(recipe, tmp_path / "run"),
        lambda: load_policy(str(folder)),
        lambda: source_of(str(folder)),
    ]
    for refused in refusals:
        with pytest.raises((ModelError, MissingFileError)) as caught:
            refused()
        assert message in str(caught.value)
    assert not (tmp_path / RAN).exists() and not (tmp_path / "run").exists()


def test_a_whole_model_passes_whatever_lies_beside_it(folder: Path, tmp_path: Path) -> None:
    (folder / "training_args.bin").write_bytes(pickle.dumps({}))
    assert load_policy(source_of(str(folder))).num_parameters() > 0
    assert not (tmp_path / RAN).exists()


def test_links_to_files_are_followed(folder: Path, tmp_path: Path) -> None:
    """A hub's cache is made of them."""
    blob = shutil.move(folder / "model.safetensors", tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(blob)
    assert load_policy(str(folder)).num_parameters() > 0


def in_cache(folder: Path, cache: Path) -> Path:
    """The folder as a hub's model that was fetched before."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = cache / "models--who--model"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    return Path(shutil.copytree(folder, home / "snapshots" / commit))


def test_a_hubs_model_is_looked_at_before_it_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = in_cache(folder, tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    change(snapshot / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    with pytest.raises(ModelError, match="config.json must ask for no code of its own. Got key 'auto_map'"):
        load_policy("who/model")
    with pytest.raises(ModelError, match="check the network for a hub id"):
        load_policy("who/nothing")


def test_settings_beside_a_gguf_are_looked_at(folder: Path) -> None:
    (folder / "model.gguf").write_bytes(b"GGUF")
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Model", None]})
    with pytest.raises(ModelError, match="tokenizer_config.json must ask for no code of its own"):
        source_of(str(folder / "model.gguf"))
