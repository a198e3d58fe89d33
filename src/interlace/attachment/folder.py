"""The run folder of an attached trainer: a run of one stage that `interlace report` reads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlace.encoding import dumps
from interlace.environment import run_manifest
from interlace.store import RunStore
from interlace.store.run_store import MANIFEST, RESOLVED
from interlace.tasks import Task


@dataclass(frozen=True)
class AttachedRun:
    """What identifies the run: its name, the kind of its one stage, its tasks and the trainer's seed."""

    name: str
    kind: str
    tasks: tuple[Task, ...]
    seed: int

    @property
    def stage(self) -> str:
        """The stage's folder name."""
        return f"01-{self.kind}"

    @property
    def resolved(self) -> str:
        """The text that says whether a folder holds this run (JSON, which is YAML)."""
        return dumps({"name": self.name, "attached": {"stage": self.kind, **self._data()}}, indent=1) + "\n"

    def claim(self, wished: Path, is_resumed: bool) -> RunStore:
        """The store to write to. A resumed training continues the newest folder of this very run; a new one never
        writes into a used folder: it takes `wished`, or the first of ``-2``, ``-3`` ... that is free."""
        numbered = (wished.with_name(f"{wished.name}-{number}") for number in itertools.count(2))
        candidates = itertools.chain([wished], numbered)
        used = list(itertools.takewhile(_is_used, candidates))
        for folder in reversed(used) if is_resumed else ():
            if self._is_of(folder):
                return self._open(folder)
        return self._open(wished if not used else wished.with_name(f"{wished.name}-{len(used) + 1}"))

    def _open(self, folder: Path) -> RunStore:
        manifest = run_manifest(self.name, self.seed) | self._data()
        return RunStore.claim(folder, self.resolved, self.resolved, manifest)

    def _is_of(self, folder: Path) -> bool:
        """Whether `folder` holds this run."""
        kept = folder / RESOLVED
        is_run = (folder / MANIFEST).exists() and kept.exists()
        return is_run and kept.read_text(encoding="utf-8", errors="replace") == self.resolved

    def _data(self) -> dict[str, Any]:
        return {"data": {task.name: task.fingerprint() for task in self.tasks}}


def _is_used(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
