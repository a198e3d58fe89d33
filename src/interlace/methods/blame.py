"""Whose fault it is that a hook of a method failed: the method's, or that of the trainer that it asks for what it
needs (rows of a stream, looks)."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlace.errors import InterlaceError, TrainingError
from interlace.methods.base import Method

ROOT = Path(__file__).parent.parent
TRAINERS = tuple(f"{ROOT / package}{os.sep}" for package in ("stages", "callback", "pipeline", "attachment"))
"""Where what methods are handed is made."""
SEAM = 2
"""Frames of a traceback that are this file's and its caller's."""


@contextmanager
def blamed_on(method: type[Method], hook: str) -> Iterator[None]:
    """What is raised in a hook names its method, and the line of its file. What the trainer raises when it is asked,
    memory that has run out and a user's mistake stay what they are. Raises TrainingError."""
    try:
        yield
    except InterlaceError:
        raise
    except Exception as error:
        files = {file_of(each) for each in method.__mro__ if issubclass(each, Method)}
        frames = traceback.extract_tb(error.__traceback__)[SEAM:]
        known = [frame for frame in frames if frame.filename in files or frame.filename.startswith(TRAINERS)]
        if _is_out_of_memory(error) or (known and known[-1].filename not in files):
            raise
        at = f"{known[-1].filename}:{known[-1].lineno}" if known else file_of(method)
        raise TrainingError(
            f"method {method.name}: {hook} must not fail. Got {type(error).__name__}: {str(error).rstrip('.')}, at "
            f"{at}. Mend it there; `interlace --debug` shows the traceback."
        ) from error


def file_of(method: type[Method]) -> str:
    """Where a method is written."""
    return inspect.getfile(method)


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # which methods do not import
    return isinstance(error, MemoryError if torch is None else (MemoryError, torch.OutOfMemoryError))
