"""What a run knows of a checkpoint that lies in it: the stage's name and kind, and the step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from interlace.store.checkpoints import checkpoint_step
from interlace.store.run_store import RESOLVED, STAGES, read_resolved

AVERAGED = "averaged"


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Weights in a stage's folder of `run`: of `step`, or its averaged ones; `kind` as the recipe has it."""

    run: Path
    name: str
    kind: str | None
    step: int | None = None
    is_averaged: bool = False

    @property
    def stage(self) -> str:
        """The stage's name, with its kind where the name does not say it: ``rl``, ``sft-2``, ``warm-up (sft)``."""
        is_said = self.kind is None or self.name == self.kind or self.name.startswith(f"{self.kind}-")
        return self.name if is_said else f"{self.name} ({self.kind})"

    def __str__(self) -> str:
        if self.is_averaged:
            return f"{self.stage}/{AVERAGED}"
        return self.stage if self.step is None else f"{self.stage} step {self.step:,}"


def place_in_run(folder: Path) -> StagePlace | None:
    """Where in a run `folder` lies, if it is a stage's, one of its ``checkpoint-N`` or its ``averaged``; else None."""
    step = checkpoint_step(folder)
    is_averaged = folder.name == AVERAGED
    stage = folder.parent if step >= 0 or is_averaged else folder
    run = stage.parent.parent
    if stage.parent.name != STAGES or not (run / RESOLVED).exists():
        return None
    return StagePlace(run, stage_name(stage), _kinds(run).get(stage.name), step if step >= 0 else None, is_averaged)


def stage_name(folder: Path) -> str:
    """``rl`` for ``02-rl``."""
    return re.sub(r"^\d+-", "", folder.name)


def _kinds(run: Path) -> dict[str, str]:
    """The kind of each stage by the name of its folder, ``02-rl``."""
    stages = read_resolved(run).get("stages") or []
    entries = [next(iter(stage.items())) for stage in stages]
    return {f"{number:02d}-{options['name']}": kind for number, (kind, options) in enumerate(entries, start=1)}
