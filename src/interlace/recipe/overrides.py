"""`--set a.b=c`: one value of a recipe changed from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.error import YAMLError

from interlace.errors import RecipeError, unknown_name
from interlace.options import KeyPath
from interlace.recipe.model import stage_names
from interlace.recipe.source import Document, parse_value


def apply_overrides(document: Document, overrides: tuple[str, ...]) -> Document:
    """The document with each override in place, in order; messages about them name the override instead of a line.

    A key is dotted: `measure.every`, `tasks.cola.path`. A stage goes by its number from 0 or its name:
    `stages.1.rl.max_steps`, `stages.1.max_steps` and `stages.rl.max_steps` are the same. The value is YAML.

    Raises RecipeError for an override without `=`, a value that is not YAML, or a key that leads nowhere.
    """
    document = document.copy()
    for override in overrides:
        key, value = _split(override)
        path = _path(key, document.tree, override)
        _put(document.tree, path, value, override)
        document.came_from(f"--set {key}", path)
    return document


def _split(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set must be KEY=VALUE, such as stages.rl.max_steps=50. Got {override!r}.")
    try:
        return key.strip(), parse_value(text)
    except YAMLError:
        raise RecipeError(f"--set {key} must be given a YAML value. Got {text!r}. Put it in quotes.") from None


def _path(key: str, tree: dict[str, Any], override: str) -> KeyPath:
    """The dotted key as a path in the tree; a stage's name becomes its number and its kind."""
    parts = key.split(".")
    stages = tree.get("stages")
    if parts[0] != "stages" or len(parts) == 1 or not isinstance(stages, list | tuple):
        return tuple(parts)
    index = _stage_index(parts[1], stages, override)
    kind, rest = next(iter(stages[index]), ""), parts[2:]
    if rest[:1] == [kind]:
        rest = rest[1:]
    return ("stages", index, kind, *rest)


def _stage_index(part: str, stages: Sequence[dict[str, dict[str, Any]]], override: str) -> int:
    if part.isdecimal():
        if int(part) >= len(stages):
            raise RecipeError(f"--set {override} must name one of {len(stages)} stages, from 0 on. Got {part}.")
        return int(part)
    entries = [next(iter(entry.items()), ("", {})) for entry in stages]
    names = stage_names([(kind, str((body or {}).get("name", ""))) for kind, body in entries])
    if part not in names:
        raise RecipeError(f"--set {override}: {unknown_name('stage', part, names)}")
    return names.index(part)


def _put(tree: dict[str, Any], path: KeyPath, value: Any, override: str) -> None:
    """Put `value` at `path`, making the mappings on the way that are not there."""
    node: Any = tree
    for depth, part in enumerate(path[:-1]):
        if isinstance(node, dict) and node.get(str(part)) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict | list | tuple):
            reached = ".".join(map(str, path[: depth + 1]))
            raise RecipeError(f"--set {override} must lead through mappings. Got {node!r} at {reached}.")
    if isinstance(node, list | tuple):
        raise RecipeError(f"--set {override} must not replace an item of a list. Set the whole list: key=[a, b].")
    node[path[-1]] = value
