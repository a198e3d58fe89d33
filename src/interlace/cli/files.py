"""Files that a verb writes besides its result: whether they can be, before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlace.errors import MissingFileError, RecipeError


def check_files(asked: Mapping[str, tuple[Path | None, str]]) -> None:
    """By option, the file that is asked for (None: none) and its suffix. Raises RecipeError or MissingFileError."""
    from interlace.store.places import refuse_unwritable

    for option, (path, suffix) in asked.items():
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            raise RecipeError(f"{option} must name a {suffix} file. Got {path}. Write {path.stem}{suffix}.")
        if not path.absolute().parent.is_dir():
            raise MissingFileError(f"{option} must lie in a folder that is there. Got {path}. Make its folder first.")
        if path.is_dir():
            raise RecipeError(f"{option} must name a file. Got the folder {path}. Write {path}/{path.name}.")
        refuse_unwritable(option, path)
