"""Loading what a user has, safely: safetensors only, no code from a checkpoint, at a dtype that is stated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from huggingface_hub import constants, snapshot_download
from transformers import AutoModelForCausalLM, AutoTokenizer

from interlace.errors import InterlaceError, MissingFileError, ModelError, unknown_name
from interlace.policies.gguf import dense_folder
from interlace.policies.policy import Policy
from interlace.safety import ADAPTER, UNREAD_JSON, read_settings, refuse_code, refuse_unsafe
from interlace.wheel import SMOLLM2, smollm2_file

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}


@contextmanager
def offline() -> Iterator[None]:
    """Nothing is asked of a hub meanwhile, whatever a library would like to look up."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def source_of(model: str, name: str = "model") -> str:
    """Where `model` is loaded from: a folder for a folder, a .gguf or the SmolLM2 wheel; a hub id as it stands.

    Nothing is asked of a network: a word that is neither here nor in the hub's cache is no OWNER/NAME, and refused.

    Raises MissingFileError for a path that is not there, under the argument's `name`; as `refuse_unsafe` for a folder
    that must not be loaded.
    """
    if model == SMOLLM2:
        return str(dense_folder(smollm2_file()))
    if model.endswith(".gguf"):
        return str(dense_folder(Path(model).expanduser()))
    path = Path(model).expanduser()
    if path.is_dir():
        _refuse(path)
        return str(path)
    if _is_local(model):
        raise MissingFileError(
            f"{name} must be a folder, a .gguf file or a hub id. Got {model}, which does not exist. Check the path."
        )
    if "/" not in model and not _is_cached(model):
        raise MissingFileError(
            f"{name} must be a folder, a .gguf file or a hub id OWNER/NAME. Got {model!r}: there is no folder "
            f"{path.absolute()}, nor is it in the hub's cache. Check the path, or write the owner."
        )
    return model


def _is_local(model: str) -> bool:
    """Whether `model` can only be meant as a path: it looks like one, or begins with a folder that is here."""
    first, slash, rest = model.partition("/")
    return model.startswith((".", "/", "~")) or "/" in rest or (bool(slash) and Path(first).is_dir())


def _is_cached(model: str) -> bool:
    return (Path(constants.HF_HUB_CACHE) / f"models--{model}").is_dir()


def load_policy(source: str, dtype: str = "float32") -> Policy:
    """The policy in `source` (a folder or hub id) with weights of `dtype`.

    The folder is looked at first (`refuse_unsafe`); of a hub's model its JSON, at the commit that is then loaded.

    Raises ModelError or MissingFileError as `refuse_unsafe`; ModelError if the model needs code of its own, has no
    safetensors, is an adapter, or has no end-of-sequence token.
    """
    if dtype not in DTYPES:
        raise ModelError(unknown_name("dtype", dtype, DTYPES))
    try:
        safely = {"revision": _commit(source), "trust_remote_code": False}
        with offline() if Path(source).is_dir() else nullcontext():
            tokenizer = AutoTokenizer.from_pretrained(source, **safely)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=DTYPES[dtype], use_safetensors=True, **safely)
    except (OSError, ValueError) as error:
        if isinstance(error, InterlaceError):
            raise
        where = "" if Path(source).is_dir() else ", which is no folder here, hence a hub id,"
        raise ModelError(
            f"model must load from safetensors without code of its own. {source}{where} did not: {_first_line(error)}. "
            "Give a folder that holds config.json, tokenizer and safetensors, or check the network for a hub id."
        ) from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"tokenizer of {source} must have an end-of-sequence token. It has none. Set one and save it.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return Policy(model, tokenizer)


def _commit(source: str) -> str:
    """Which commit of a hub's model is loaded, after a look at its JSON; of a folder, after a look at all of it."""
    folder = Path(source)
    if folder.is_dir():
        _refuse(folder)
        return "main"  # a folder has no revisions: Transformers does not read it
    snapshot = Path(snapshot_download(source, allow_patterns=["*.json"], ignore_patterns=list(UNREAD_JSON)))
    _refuse_adapter(snapshot)
    refuse_code(snapshot)
    return snapshot.name


def _refuse(folder: Path) -> None:
    _refuse_adapter(folder)
    refuse_unsafe(folder)


def _refuse_adapter(folder: Path) -> None:
    """An adapter would bring its base from wherever it says, unseen."""
    if (folder / ADAPTER).exists():
        base = read_settings(folder / ADAPTER).get("base_model_name_or_path")
        raise ModelError(
            f"model must be whole weights. Got {folder / ADAPTER}, an adapter on {base!r}. Merge the two first: "
            "PeftModel.merge_and_unload(), then save_pretrained()."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].removeprefix("Got: ").rstrip(".")
