"""Whether a place can be written, asked before hours of work and not after them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from interlace.errors import MissingFileError, RecipeError


def refuse_unwritable(option: str, path: Path) -> None:
    """Raise MissingFileError, naming `option`, unless something can be written where `path` is to be."""
    around = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=around):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise MissingFileError(
            f"{option} must name a place that can be written. Got {path}; {around} says: {reason}. Choose another."
        ) from None


def refuse_used(option: str, folder: Path) -> None:
    """Raise RecipeError, naming `option`, if `folder` holds anything: nothing is written over something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{option} must name a new or empty folder. Got {folder}, which is used. Choose another.")
