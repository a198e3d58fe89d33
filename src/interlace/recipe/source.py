"""A YAML document that remembers on which line every key stands."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from interlace.errors import RecipeError
from interlace.options import KeyPath, Problem


@dataclass(frozen=True)
class Document:
    """Plain values, and the place of each: ``quickstart.yaml:12``, or the ``--set`` that put it there."""

    name: str
    text: str
    tree: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """The place of what stands at `path`, or of the nearest thing around it that was written."""
        path = self._as_written(path)
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)

    def complain(self, problems: list[Problem]) -> RecipeError:
        """The error that says all of `problems`, a line each."""
        return RecipeError("\n".join(f"{self.where(problem.path)}: {problem.sentence}" for problem in problems))

    def came_from(self, place: str, path: KeyPath) -> None:
        """What stands at `path`, with all that is in it, was put there by `place`: ``--set seeds``."""
        for below in [known for known in self.places if known[: len(path)] == path]:
            del self.places[below]
        self.places[path] = place

    def copy(self) -> Document:
        """An independent copy, to be changed by overrides."""
        return Document(self.name, self.text, copy.deepcopy(self.tree), dict(self.places))

    def _as_written(self, path: KeyPath) -> KeyPath:
        """A stage's options stand one level deeper in the file, under its kind."""
        if path[:1] != ("stages",) or len(path) < 3:
            return path
        try:
            (kind,) = self.tree["stages"][path[1]]
        except (KeyError, IndexError, TypeError, ValueError):
            return path
        return path if path[2] == kind else (*path[:2], kind, *path[2:])


def parse_document(text: str, name: str) -> Document:
    """Read `text`, called `name` in messages. Raises RecipeError with the line of what is not YAML or no mapping."""
    try:
        tree = parse_value(text)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(f"{place}: a recipe must be YAML. Got {_first_line(error)}. Mend that line.") from None
    except YAMLError as error:
        raise RecipeError(f"{name}: a recipe must be YAML. Got {error}. Mend it.") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{name}: a recipe must be a mapping with tasks and stages. Got {type(tree).__name__}.")
    return Document(name, text, tree, {path: f"{name}:{line}" for path, line in _lines(node)})


def parse_value(text: str) -> Any:
    """A YAML text as plain Python values; what an alias stands for is a copy, so that changing one changes no other."""
    return _copied(YAML(typ="safe", pure=True).load(text))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _lines(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Every path under `node` with the line, from 1 on, of its key or list item."""
    children: list[tuple[str | int, Node, Node]] = []
    if isinstance(node, MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, SequenceNode):
        children = [(index, item, item) for index, item in enumerate(node.value)]
    for key, marked, value in children:
        yield (*path, key), marked.start_mark.line + 1
        yield from _lines(value, (*path, key))


def _first_line(error: MarkedYAMLError) -> str:
    return str(error.problem or error.context or error).splitlines()[0]
