"""interlace_manifest.json: written last into a checkpoint, so that a checkpoint with a true one is whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from interlace.encoding import dumps

MANIFEST_NAME = "interlace_manifest.json"
MANIFEST_VERSION = 1


def seal_checkpoint(folder: Path, **more: Any) -> None:
    """Write the completeness mark: size in bytes and SHA-256 of every file in `folder`; `more` stands beside them."""
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }
    write_text_atomically(
        folder / MANIFEST_NAME, dumps({"version": MANIFEST_VERSION, **more, "files": files}, indent=1)
    )


def verify_checkpoint(folder: Path) -> str | None:
    """None if `folder` is whole, else the reason why it is not."""
    manifest = folder / MANIFEST_NAME
    if not manifest.exists():
        return f"{folder.name} has no {MANIFEST_NAME}: it was not written to its end"
    try:
        files = json.loads(manifest.read_text())["files"]
    except (ValueError, KeyError):
        return f"{folder.name}/{MANIFEST_NAME} is damaged"
    for name, mark in files.items():
        path = folder / name
        if not path.exists():
            return f"{folder.name}/{name} is missing"
        if path.stat().st_size != mark["bytes"]:
            return f"{folder.name}/{name} has {path.stat().st_size} bytes instead of {mark['bytes']}"
        if _sha256(path) != mark["sha256"]:
            return f"{folder.name}/{name} differs from what was written"
    return None


def newest_complete_checkpoint(stage_folder: Path) -> tuple[Path | None, list[str]]:
    """The highest-numbered whole checkpoint of a stage, and why each newer one was passed over."""
    skipped: list[str] = []
    for folder in sorted(stage_folder.glob("checkpoint-*"), key=checkpoint_step, reverse=True):
        reason = verify_checkpoint(folder)
        if reason is None:
            return folder, skipped
        skipped.append(reason)
    return None, skipped


def checkpoint_step(folder: Path) -> int:
    """The optimizer step in a checkpoint's name, -1 if it has none."""
    match = re.fullmatch(r"checkpoint-(\d+)", folder.name)
    return int(match.group(1)) if match else -1


def steps_trained(checkpoint: Path) -> int:
    """Optimizer steps that the trainer had done when it wrote a checkpoint; of a rewound stage's last one more than its
    weights have had."""
    return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])


def write_text_atomically(path: Path, text: str) -> None:
    """Whole or not at all: written beside and moved into place."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
