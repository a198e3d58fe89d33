"""The kinds of failure. Each message says what was expected, what was found, and one thing to do.

A user's mistake is an `InterlaceError` that is also the standard exception it replaces; a programmer's mistake is an
assert. The command line turns each kind into its exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class InterlaceError(Exception):
    """Base of every error that a user can mend; `exit_code` is what the command line returns for it.

    `option`: the option of a stage or a task that is at fault, where it is one: whoever knows the recipe says its line.
    """

    exit_code = 1
    option: str = ""

    def about(self, option: str) -> InterlaceError:
        """The same error, which says where the fault is."""
        self.option = option
        return self


class RecipeError(InterlaceError, ValueError):
    """A recipe, an option or a command line that cannot be understood."""

    exit_code = 2


class DataError(InterlaceError, ValueError):
    """A task's rows, a reward's answers or a recorded figure that break their contract."""

    exit_code = 3


class RewardError(DataError):
    """A reward that raises or breaks its contract; `reward` is its name, under which it is said once."""

    option = "reward"

    def __init__(self, message: str, reward: str = "") -> None:
        super().__init__(message)
        self.reward = reward


class ModelError(InterlaceError, ValueError):
    """A model or tokenizer that cannot be loaded or used as asked."""

    exit_code = 3


class MethodError(InterlaceError, TypeError):
    """A method's class that lacks a part, or has one that nothing asks for."""

    exit_code = 3


class MachineError(InterlaceError, RuntimeError):
    """Something missing from the machine: a package, a wheel, disk, memory."""

    exit_code = 3


class MissingFileError(InterlaceError, FileNotFoundError):
    """A file or folder that is not where it was said to be."""

    exit_code = 3


class RunFolderError(InterlaceError, FileExistsError):
    """A run folder that belongs to another recipe, is in use, or is damaged beyond its torn tail."""

    exit_code = 3


class TrainingError(InterlaceError, RuntimeError):
    """A stage that did not do what was planned: too few steps, non-finite weights."""

    exit_code = 1


class Interrupted(InterlaceError):
    """The user (130) or the system (143) asked the run to stop; what was trained is saved."""

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def unknown_name(kind: str, name: str, known: Iterable[str], taken: Collection[str] = ()) -> str:
    """One sentence for a name that is not registered: the nearest known one first, then all of them. `taken`: those of
    them that are in use and cannot be meant.

    >>> unknown_name("task", "additon", ["addition", "files"])
    "task must be one of addition, files. Got 'additon'. Did you mean 'addition'?"
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, [each for each in names if each not in taken], n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"{kind} must be one of {', '.join(names)}. Got {name!r}.{hint}"
