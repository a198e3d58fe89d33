"""given: a task that is made in Python and handed over. A recipe can only say that it expects one."""

from __future__ import annotations

from typing import NoReturn

from interlace.errors import RecipeError
from interlace.options import Options


class GivenOptions(Options):
    """The task given has no options: all of it is made in Python."""


def build_given(name: str, options: GivenOptions, seed: int) -> NoReturn:
    """Raises RecipeError: what was not handed over cannot be built."""
    raise RecipeError(
        f"task {name!r} must be handed over in Python. Got none. "
        f"Say interlace.run(recipe, tasks={{{name!r}: task}}) with an interlace.Task."
    )
