"""A reward named by its import path, ``package.module:function``."""

from __future__ import annotations

import importlib
from types import ModuleType

from interlace.errors import RecipeError, unknown_name
from interlace.rewards.base import Reward, checked


def import_reward(path: str) -> Reward:
    """The function at `path`, as a reward of that function's name.

    Only what Python can import already is found: no folder is added to its search path, so that a recipe alone cannot
    make code run that the user has not installed.

    Raises RecipeError if the path, the module or the function is not there, or the function cannot be called.
    """
    module_name, _, function_name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), function_name)):
        raise RecipeError(f"a reward's import path must read package.module:function. Got {path!r}. Write it so.")
    module = _module(module_name, path)
    if not hasattr(module, function_name):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise RecipeError(unknown_name(f"the reward's function in module {module_name}", function_name, known))
    function = getattr(module, function_name)
    if not callable(function):
        raise RecipeError(f"reward {path!r} must be a function. Got a {type(function).__name__}. Name a function.")
    return checked(function, function_name)


def _module(name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RecipeError(
            f"reward {path!r} must be importable. Got {type(error).__name__}: {error}. "
            "Install the package, or add its folder to PYTHONPATH."
        ) from error
