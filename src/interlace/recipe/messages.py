"""How messages call what stands in a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from interlace.options import KeyPath, Problem, problems_of


def problems_at(prefix: KeyPath, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The mistakes that `model` found in the part of a recipe at `prefix`."""
    found = problems_of(
        error,
        model,
        name=lambda path: dotted((*prefix, *path)),
        set_key=lambda path: ".".join(map(str, (*prefix, *path))),
    )
    return [Problem((*prefix, *problem.path), problem.sentence) for problem in found]


def dotted(path: KeyPath) -> str:
    """A path in words; a stage's own options go by their bare names.

    >>> dotted(("tasks", "sums", "digits")), dotted(("stages", 1, "averaged_weights", "decay"))
    ('tasks.sums.digits', 'averaged_weights.decay')
    """
    if path[:1] == ("stages",) and len(path) > 2:
        path = path[2:]
    return ".".join(str(part) for part in path) or "a recipe"
