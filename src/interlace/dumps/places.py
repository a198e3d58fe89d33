"""Which files of a folder are one dump: training apart from evaluation, everything sampled apart from what was kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

EVALUATION = re.compile(r"(^|[/_.-])(val|valid|validation|eval|evaluation|test)([/_.-]|$)", re.IGNORECASE)
KEPT_ONLY = re.compile(r"(^|/)effective(/|$)")
STEP = re.compile(r"(?:step|iter|iteration|rollout|global_step|completions)[_-]?(\d+)", re.IGNORECASE)
LAST_NUMBER = re.compile(r"(\d+)$")


def one_dump(files: list[Path], root: Path) -> tuple[list[Path], list[str]]:
    """The files to read, and a sentence for each kind that is left out."""
    notes: list[str] = []
    files = _apart(files, root, EVALUATION, "of evaluation, whose prompts are others; name their folder to see them",
                   notes)  # fmt: skip
    files = _apart(files, root, KEPT_ONLY, "that hold only what the trainer kept of the others", notes)
    return files, notes


def _apart(files: list[Path], root: Path, pattern: re.Pattern[str], what: str, notes: list[str]) -> list[Path]:
    """`files` without those whose path below `root` has the pattern, unless all of them have it."""
    found, others = _split(files, lambda path: bool(pattern.search(_below(path, root))))
    if not others or not found:
        return files
    notes.append(f"{len(found)} files were left out {what}.")
    return others


def _split(files: Iterable[Path], chosen: Callable[[Path], bool]) -> tuple[list[Path], list[Path]]:
    parts: tuple[list[Path], list[Path]] = ([], [])
    for path in files:
        parts[0 if chosen(path) else 1].append(path)
    return parts


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if root in path.parents else path.name


def step_of(path: Path, root: Path) -> int | None:
    """The step that a file's name, or a folder between it and `root`, says.

    >>> step_of(Path("r/step_42/train/all/traces.jsonl"), Path("r")), step_of(Path("r/120.jsonl"), Path("r"))
    (42, 120)
    """
    parts = _below(path, root).split("/")
    stem = parts[-1].partition(".")[0]
    for name in (stem, *reversed(parts[:-1])):
        found = STEP.search(name) or (LAST_NUMBER.search(name) if name == stem else None)
        if found and len(found[1]) <= 12:
            return int(found[1])
    return None
