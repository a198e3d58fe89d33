"""Saving a blend of two checkpoints as a folder that loads like any other: dense weights, or one adapter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from peft import LoraConfig, PeftModel

from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.loading import adapted
from interlace.errors import RunFolderError
from interlace.policies import Policy
from interlace.policies.interpolation import interpolated
from interlace.policies.loading import offline
from interlace.store import seal_checkpoint

FIRST, SECOND, BLEND = "default", "second", "blend"


def refuse_used(folder: Path) -> None:
    """Raise RunFolderError if `folder` holds anything: a blend is never written over something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(f"--write must name a new or empty folder. Got {folder}, which is used. Choose another.")


def write_blend(
    ends: Sequence[Checkpoint], start: Policy, end: Policy, position: float, folder: Path, dtype: str
) -> Path:
    """The weights at `position` in a new folder, sealed with `interlace_manifest.json`, whole or not at all; its path.

    Two LoRA adapters on one base give an adapter whose rank is the sum of theirs and whose effective weights lie on
    the straight line exactly (interpolating their factors would not). Anything else gives dense weights.
    """
    refuse_used(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        unfinished = Path(beside) / folder.name
        if not _write_adapter(ends, position, unfinished, dtype):
            interpolated(start.model, end.model, position).save_pretrained(unfinished)
        start.tokenizer.save_pretrained(unfinished)
        seal_checkpoint(unfinished)
        os.replace(unfinished, folder)  # onto nothing, or an empty folder
    return folder


def _write_adapter(ends: Sequence[Checkpoint], position: float, folder: Path, dtype: str) -> bool:
    """Save the blend of two plain LoRA adapters on one base; False if they are no such thing."""
    first, second = ends
    if {first.kind, second.kind} != {"adapter"} or first.base != second.base:
        return False
    with offline():
        model, _ = adapted(first, dtype)
        model.load_adapter(str(second.path), SECOND)
    if not (_is_plain(model.peft_config[FIRST]) and _is_plain(model.peft_config[SECOND])):
        return False
    _blend(model, position)
    _save(model, folder)
    return True


def _blend(model: PeftModel, position: float) -> None:
    """Adds the adapter whose effective weights are (1 - position) first + position second.

    Its factors hold all of the scaling, and its alpha is its rank: read back as rank-stabilised it would be scaled by
    the root of the rank once more.
    """
    model.add_weighted_adapter([FIRST, SECOND], [1.0 - position, position], BLEND, combination_type="cat")
    model.peft_config[BLEND].use_rslora = False
    model.set_adapter(BLEND)


def _save(model: PeftModel, folder: Path) -> None:
    """PEFT saves a named adapter in a folder of its own; its files are moved up to where they are looked for."""
    model.save_pretrained(folder, selected_adapters=[BLEND])
    for path in (folder / BLEND).iterdir():
        path.rename(folder / path.name)
    (folder / BLEND).rmdir()


def _is_plain(config: object) -> bool:
    """Whether an adapter is nothing but low-rank factors."""
    if not isinstance(config, LoraConfig):
        return False
    more = (
        config.modules_to_save,
        config.use_dora,
        config.bias != "none",
        config.lora_bias,
        config.trainable_token_indices,
    )
    return not any(more)
