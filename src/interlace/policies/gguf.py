"""GGUF files as dense models: converted once into the user's cache, then an ordinary folder of safetensors."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from interlace.errors import MissingFileError, ModelError
from interlace.gguf_header import refuse_broken_gguf
from interlace.safety import refuse_code


def dense_folder(gguf: Path) -> Path:
    """The folder with the dense float32 weights of `gguf`, converted if it is not in the cache yet.

    Raises MissingFileError if there is no such file, ModelError for one that does not load, or for settings
    beside it that would bring in code.
    """
    if not gguf.exists():
        raise MissingFileError(f"model must be a .gguf file that exists. Got {gguf}. Check the path.")
    refuse_code(gguf.parent)  # Transformers reads a tokenizer's settings beside the file
    refuse_broken_gguf(gguf)
    target = cache_folder() / f"{gguf.stem}-{_fingerprint(gguf)}"
    if not (target / "config.json").exists():
        _convert(gguf, target)
    return target


def cache_folder() -> Path:
    """Where converted models are kept: $INTERLACE_CACHE, else interlace's folder in the user's cache."""
    given = os.environ.get("INTERLACE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(given) if given else Path(base) / "interlace" / "models"


def _convert(gguf: Path, target: Path) -> None:
    """The model as a folder, whole or not at all. Cost: its weights in float32, in memory and on disk."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError, OSError) as error:
        raise ModelError(
            f"{gguf} must be a whole .gguf of an architecture that Transformers converts. "
            f"Got {type(error).__name__}: {str(error)[:200]}. Copy it again, or give a folder of safetensors."
        ) from error
    _forget_quantization(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as beside:
        partial = Path(beside) / target.name
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if not target.exists():
            os.replace(partial, target)


def _forget_quantization(model: PreTrainedModel) -> None:
    """The weights are dense now; Transformers refuses to save a model that still calls itself quantized."""
    model.hf_quantizer = None
    model.is_quantized = False
    model.quantization_method = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
