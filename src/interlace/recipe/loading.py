"""From a name or a path to a checked recipe."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from interlace.errors import MissingFileError, RecipeError, unknown_name
from interlace.options import name_from
from interlace.recipe.messages import problems_at
from interlace.recipe.model import Recipe
from interlace.recipe.overrides import apply_overrides
from interlace.recipe.profiles import apply_profile, refuse_overridden
from interlace.recipe.source import Document, parse_document
from interlace.recipe.subset import only_stages

SUFFIXES = (".yaml", ".yml")


RecipeLike: TypeAlias = str | Path | Mapping[str, Any] | Recipe
"""A shipped recipe's name, the path of a YAML file, what such a file holds, or a recipe."""


def load_recipe(
    recipe: RecipeLike,
    overrides: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    profile: str | None = None,
    only: Sequence[str] = (),
    given: Iterable[str] = (),
) -> Recipe:
    """The checked recipe, with `KEY=VALUE` overrides and other seeds applied, under a profile; of its stages `only`
    these and what they need, all where none is named.

    Everything that can be known without reading data or model is checked, TRL's options included (TRL's import takes
    4 s). `given` names the tasks that will be handed over in Python; they stand in place of the recipe's own.

    Raises RecipeError, a line a mistake, each with its file and line; MissingFileError if there is no such file.
    """
    from interlace.recipe.checks import (  # imports TRL: 6 s that `list recipes` does not need
        check,
        with_rule_defaults,
        with_task_defaults,
        with_typed_options,
    )

    if profile is not None:
        refuse_overridden(profile, overrides)
    document = apply_overrides(_document(recipe), tuple(overrides))
    _hand_over(document, given)
    if seeds is not None:
        document.tree["seeds"] = list(seeds)
        document.came_from("--seeds", ("seeds",))
    try:
        parsed = with_typed_options(Recipe.model_validate({"name": _name_of(document)} | document.tree))
    except ValidationError as error:
        raise document.complain(problems_at((), error, Recipe)) from None
    problems = check(parsed)
    if problems:
        raise document.complain(problems)
    resolved = with_rule_defaults(with_task_defaults(parsed)).read_from(document)
    resolved = only_stages(resolved, only) if only else resolved
    return resolved if profile is None else apply_profile(resolved, profile)


def shipped_recipes() -> dict[str, Traversable]:
    """The recipes inside the package, by name."""
    folder = importlib.resources.files("interlace") / "recipes"
    found = {item.name.rsplit(".", 1)[0]: item for item in folder.iterdir() if item.name.endswith(SUFFIXES)}
    return dict(sorted(found.items()))


def _document(recipe: RecipeLike) -> Document:
    if isinstance(recipe, Recipe):
        return Document("recipe", recipe.source, recipe.model_dump(mode="json"))
    if isinstance(recipe, Mapping):
        return Document("recipe", "", dict(recipe))
    return _read(str(recipe))


def _name_of(document: Document) -> str:
    return name_from(Path(document.name).stem, "-_.")


def _hand_over(document: Document, given: Iterable[str]) -> None:
    """Tasks of kind `given` put in place; what is no mapping of tasks is left to be refused."""
    tasks = document.tree.get("tasks") or {}
    if isinstance(tasks, dict):
        document.tree["tasks"] = tasks | {name: {"kind": "given"} for name in given}


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
