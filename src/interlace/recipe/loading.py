"""From a name or a path to a checked recipe."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from interlace.errors import MissingFileError, RecipeError, unknown_name
from interlace.recipe.messages import problems_of
from interlace.recipe.model import Recipe
from interlace.recipe.overrides import apply_overrides
from interlace.recipe.source import Document, parse_document

SUFFIXES = (".yaml", ".yml")


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that interlace ships under a name, or the one in a YAML file, with `KEY=VALUE` overrides applied.

    Everything that can be known without reading data or model is checked, TRL's options included (TRL's import takes
    4 s). Raises RecipeError, a line a mistake, each with its file and line; MissingFileError if there is no such file.
    """
    from interlace.recipe.checks import check, with_task_defaults  # imports TRL: 6 s that `list recipes` does not need

    document = apply_overrides(_read(str(name_or_path)), tuple(overrides))
    try:
        recipe = Recipe.model_validate({"name": Path(document.name).stem} | document.tree)
    except ValidationError as error:
        raise document.complain(problems_of(error, Recipe)) from None
    problems = check(recipe)
    if problems:
        raise document.complain(problems)
    return with_task_defaults(recipe).with_source(document.text)


def shipped_recipes() -> dict[str, Traversable]:
    """The recipes inside the package, by name."""
    folder = importlib.resources.files("interlace") / "recipes"
    found = {item.name.rsplit(".", 1)[0]: item for item in folder.iterdir() if item.name.endswith(SUFFIXES)}
    return dict(sorted(found.items()))


def _read(name_or_path: str) -> Document:
    shipped = shipped_recipes()
    if name_or_path in shipped:
        item = shipped[name_or_path]
        return parse_document(item.read_text(encoding="utf-8"), item.name)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return parse_document(path.read_text(encoding="utf-8"), name_or_path)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise MissingFileError(f"RECIPE must be a file that exists. Got {name_or_path}. Check the path.")
    raise RecipeError(f"{unknown_name('RECIPE', name_or_path, shipped)} A recipe of yours is a path to a YAML file.")
