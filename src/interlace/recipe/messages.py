"""From pydantic's mistakes to sentences that say what was expected, what was found, and the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from interlace.rewards.options import model_at, rule_of

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands in a recipe: ("stages", 1, "averaged_weights", "decay")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where; the place becomes a file and line, or the `--set` that said it."""

    path: KeyPath
    sentence: str


def problems_of(error: ValidationError, model: type[BaseModel], prefix: KeyPath = ()) -> list[Problem]:
    """The mistakes that `model` found in the part of a recipe at `prefix`.

    What follows from another mistake is not said: that a key is missing beside an unknown one, which is most likely the
    same key misspelt, and that a whole is wrong of which a part is.
    """
    mistakes = error.errors(include_url=False)
    misspelt = {mistake["loc"][:-1] for mistake in mistakes if mistake["type"] == "extra_forbidden"}
    wholes = {mistake["loc"][:depth] for mistake in mistakes for depth in range(len(mistake["loc"]))}
    return [
        Problem((*prefix, *mistake["loc"]), _sentence(mistake, model, prefix))
        for mistake in mistakes
        if mistake["loc"] not in wholes and (mistake["type"] != "missing" or mistake["loc"][:-1] not in misspelt)
    ]


def unknown_key(key: str, known: Iterable[str], owner: str) -> str:
    """One sentence for a key that `owner` does not know; short lists of known keys are given whole.

    >>> unknown_key("decai", ["decay"], "averaged_weights")
    "averaged_weights must hold known keys (decay). Got unknown key 'decai'. The nearest known key is 'decay'."
    """
    names = sorted(known)
    listed = f" ({', '.join(names)})" if len(names) <= 24 else ""
    nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    hint = f"The nearest known key is {nearest[0]!r}." if nearest else "Remove it."
    return f"{owner} must hold known keys{listed}. Got unknown key {key!r}. {hint}"


def dotted(path: KeyPath) -> str:
    """A path in words; a stage's own options go by their bare names.

    >>> dotted(("tasks", "sums", "digits")), dotted(("stages", 1, "averaged_weights", "decay"))
    ('tasks.sums.digits', 'averaged_weights.decay')
    """
    if path[:1] == ("stages",) and len(path) > 2:
        path = path[2:]
    return ".".join(str(part) for part in path) or "a recipe"


def _sentence(mistake: Mapping[str, Any], model: type[BaseModel], prefix: KeyPath) -> str:
    location: KeyPath = mistake["loc"]
    name = dotted((*prefix, *location))
    if mistake["type"] == "extra_forbidden":
        known = model_at(model, location[:-1]).model_fields
        return unknown_key(str(location[-1]), known, dotted((*prefix, *location[:-1])))
    if mistake["type"] == "missing":
        owner, key = dotted((*prefix, *location[:-1])), ".".join(map(str, (*prefix, *location)))
        return f"{owner} must have key {location[-1]!r}. Got none. Add it, or say --set {key}=VALUE."
    if mistake["type"] == "value_error":
        return f"{name}: {mistake['ctx']['error']}"
    return f"{name} must {rule_of(mistake['msg'])}. Got {mistake['input']!r}."
