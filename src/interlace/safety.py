"""What a model's folder must not hold: its own code, pickled weights, files cut short. Looked at before any load.

Only names, JSON and the headers of safetensors are read here; nothing of the folder is executed or unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interlace.errors import MissingFileError, ModelError

ADAPTER = "adapter_config.json"
CODE_KEYS = ("auto_map", "custom_pipelines", "custom_generate", "megatron_config")
"""Keys whose value names code that a library would import."""
SWITCHES = ("trust_remote_code", "use_kernels")
"""Keys that must not be true: they allow code from a hub."""
IMPLEMENTATION = "_implementation"
"""What keys contain that choose a kernel; a built-in one is a plain word, one from a hub has a slash or a colon."""
ELSEWHERE = ("configuration_files", "transformers_weights", "adapters")
"""Keys that send a library to other files than the ones looked at here."""
ADAPTER_TYPES = ("LORA",)
"""What PEFT loads from the adapter's own folder and nothing else; others name folders or modules of their own."""
UNREAD_JSON = ("tokenizer.json", "vocab.json", "added_tokens.json", "trainer_state.json")
"""JSON that holds words or a log; whatever its keys are, they are no settings. Indices are read by `weight_files`."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
LARGEST_HEADER = 100_000_000
"""Bytes that the format allows a header of safetensors."""

SHARDS = {
    "model_world_size_*_rank_*.pt": (
        "python -m verl.model_merger merge --backend fsdp --local_dir {folder} --target_dir MERGED"
    ),
    "zero_to_fp32.py": "python {folder}/zero_to_fp32.py {folder} MERGED --safe_serialization",
    "pytorch_model_fsdp_0": "accelerate merge-weights {folder}/pytorch_model_fsdp_0 MERGED",
}
"""What trainers leave in place of a model, and the command that makes one of it."""


def refuse_unsafe(folder: Path) -> None:
    """Pass only a folder whose weights can be loaded without running or unpickling anything of it.

    Raises MissingFileError if there are no weights (shards of other trainers are answered with the command that merges
    them); ModelError, naming the key or the file, for code in any of its JSON, pickled weights, or a file of
    safetensors that is not whole.
    """
    refuse_code(folder)
    weights = weight_files(folder)
    if not weights:
        _refuse_without_weights(folder)
    for path in weights:
        refuse_damaged(path)


def refuse_code(folder: Path) -> None:
    """Look at every setting, at any depth of the folder's JSON (words, logs and indices aside).

    Raises ModelError for the first key that would bring in code, or send a library to files that are not looked at.
    """
    for path in _settings(folder):
        content = read_settings(path) if path.name in (ADAPTER, "config.json") else read_json(path)
        for key, value in _entries(content):
            if _brings_code(key, value):
                raise ModelError(
                    f"{path} must ask for no code of its own. Got key {key!r}: {str(value)[:80]}. "
                    "Load it with a built-in architecture: remove the key, or convert the checkpoint."
                )
            if key in ELSEWHERE and value not in (None, {}, [], ""):
                raise ModelError(
                    f"{path} must name no other files to load. Got key {key!r}: {str(value)[:80]}. "
                    "Save the checkpoint again with save_pretrained()."
                )
        if path.name == ADAPTER:
            _refuse_adapter_type(path, content)


def read_settings(path: Path) -> dict[str, Any]:
    """The object that a JSON file of settings holds. Raises ModelError if it is none."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold a JSON object. Got {type(content).__name__}. Copy the checkpoint again.")
    return content


def _settings(folder: Path) -> list[Path]:
    paths = (path for path in folder.glob("*.json") if path.name not in UNREAD_JSON)
    return sorted(path for path in paths if not path.name.endswith(".index.json"))


def _refuse_adapter_type(path: Path, content: Any) -> None:
    kind = content.get("peft_type") if isinstance(content, dict) else None
    if kind not in ADAPTER_TYPES:
        raise ModelError(
            f"{path} must have a peft_type of {', '.join(ADAPTER_TYPES)}. Got {kind!r}. "
            "Merge the adapter into its base and save whole weights."
        )


def weight_files(folder: Path) -> list[Path]:
    """The files of safetensors that a loader will read: an adapter's one; a model's one file, else its shards.

    PEFT reads adapter_model.safetensors and no shards; Transformers prefers model.safetensors to its index.

    Raises ModelError for an index that names anything but files of safetensors beside it.
    """
    if (folder / ADAPTER).exists():
        return [path for path in (folder / "adapter_model.safetensors",) if path.exists()]
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    shards = _shards(index) if index.exists() else []
    return [whole] if whole.exists() or whole.is_symlink() else shards


def refuse_damaged(path: Path) -> None:
    """Raise ModelError if a file of safetensors is cut short, longer than it says, or no such file."""
    if not path.is_file():
        raise MissingFileError(f"{path} must be there: the index names it. Got none. Copy the checkpoint again.")
    size = path.stat().st_size
    expected = _size_by_header(path, size)
    if expected is None:
        raise ModelError(f"{path} must begin with a header of safetensors. Got none that can be read. Copy it again.")
    if size != expected:
        raise ModelError(f"{path} must be whole: {expected} bytes by its header. Got {size}. Copy it again.")


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ModelError if it is none, or no regular file (a device would never end)."""
    if not path.is_file():
        raise ModelError(f"{path} must be a file. Got {'nothing' if not path.exists() else 'none'}. Copy it again.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} must be JSON. Got {type(error).__name__}: {error}. Copy it again.") from None


def _refuse_without_weights(folder: Path) -> None:
    for pattern, command in SHARDS.items():
        if any(folder.glob(pattern)):
            raise ModelError(
                f"{folder} must hold a whole model as safetensors. Got shards ({pattern}). "
                f"Merge them: {command.format(folder=folder)}"
            )
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES and _may_be_weights(path))
    if pickles:
        raise ModelError(
            f"{folder / pickles[0]} must be safetensors: loading a pickle can run code. Got a pickle. "
            "Save the model again with safe_serialization=True."
        )
    raise MissingFileError(
        f"{folder} must hold model.safetensors or adapter_model.safetensors. Got neither. Name the folder of a model."
    )


def _may_be_weights(path: Path) -> bool:
    """Whether a pickle is not one of the files that a Trainer leaves beside the weights (those are never read)."""
    return path.stem not in ("training_args", "optimizer", "scheduler", "rng_state", "scaler")


def _brings_code(path: str, value: Any) -> bool:
    """Whether the entry at ``outer.inner`` would have a library import something that is not its own."""
    key = path.rpartition(".")[2]
    if key in CODE_KEYS:
        return value not in (None, {}, [], "")
    if key in SWITCHES:
        return bool(value)
    if key == "parent_library":  # PEFT's auto_mapping: imported by name
        return not str(value).startswith("transformers.")
    chooses_kernel = any(IMPLEMENTATION in part for part in path.split("."))
    return chooses_kernel and isinstance(value, str) and any(mark in value for mark in ("/", ":"))


def _entries(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key in nested JSON with its value, as ``outer.inner``."""
    if isinstance(value, dict):
        for key, item in value.items():
            here = f"{path}.{key}" if path else str(key)
            yield here, item
            yield from _entries(item, here)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _entries(item, f"{path}[{number}]")


def _shards(index: Path) -> list[Path]:
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names:
        raise ModelError(f"{index} must hold a weight_map. Got none. Copy the checkpoint again.")
    for name in names.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} must name files of safetensors beside it. Got {name!r}. Copy it again.")
    return [index.parent / name for name in sorted(set(names.values()))]


def _size_by_header(path: Path, size: int) -> int | None:
    """Bytes that the file must have, by its header; None if there is no header that can be read."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            return None
        (length,) = struct.unpack("<Q", start)
        if length > min(LARGEST_HEADER, size - 8):
            return None
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return None
    return 8 + length + max(ends, default=0)
