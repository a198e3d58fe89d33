"""ForkPlan: which forks are trained from one state of a stage, and with what."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlace.stages.base import Stage, StageRequest
from interlace.tasks.base import Task

STAGE, PLACEBO, MIRRORED = "stage", "placebo", "mirrored"
"""The arms: the stage as it is; with rewards that say nothing (C9); that with every advantage's sign turned."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Forks of one kind. `placebo`: the mode of C9 that their rewards go through; None: the stage's own."""

    name: str
    placebo: str | None


@dataclass(frozen=True)
class ForkPlan:
    """`count` forks of every arm, from `from_step` of the stage, for as many steps as the last of `marks`.

    `request` is the stage's own. `marks` are the fork steps after which weights are kept, ascending: what forks show
    against their length. `placebo`: a mode of C9; None: no placebo. `mirrored`: strict placebos get partners with every
    advantage turned. `checkpoint` holds the optimizer's state that a fork takes up, None: a fresh
    one. Its second moments are kept and its momentum is not, so that no fork inherits old noise (B8): what the first
    1/(1 - b1) steps do is then less than in the stage itself. Its schedule goes on if `from_step` is not the start.

    Forks of one number share their prompts and their seed in all arms; forks of different numbers share no prompt where
    the task has enough (`num_prompts` a fork), else each goes through all of them in an order of its own.
    """

    request: StageRequest
    count: int
    marks: tuple[int, ...]
    placebo: str | None = "strict"
    mirrored: bool = False
    from_step: int = 0
    checkpoint: Path | None = None
    num_prompts: int = 0

    @property
    def steps(self) -> int:
        """Optimizer steps of a fork."""
        return self.marks[-1]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """A placebo of a stage that is one itself would be the same arm twice."""
        own = Arm(STAGE, self.request.placebo)
        if self.placebo is None or self.request.placebo is not None:
            return (own,)
        return (own, Arm(PLACEBO, self.placebo)) + ((Arm(MIRRORED, MIRRORED),) if self.mirrored else ())

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells this plan from another of the same stage of the same run."""
        request = self.request
        settings = (request.seed, request.placebo, request.bf16, sorted(map(str, request.options.items())))
        kept = self.checkpoint.name if self.checkpoint else None
        return (self.from_step, self.count, self.marks, self.arms, self.num_prompts, kept, settings)

    def spent_after(self, arm: Arm) -> tuple[str, ...]:
        """The arms whose weights nobody needs once `arm` is measured: placebos wait for their mirrored partners."""
        if arm.name == MIRRORED:
            return (PLACEBO, MIRRORED)
        return () if self.mirrored and arm.name == PLACEBO else (arm.name,)

    @property
    def is_disjoint(self) -> bool:
        """Whether forks of different numbers share no prompt."""
        fits = 0 < self.num_prompts <= len(self.request.task.train) // self.count
        return fits and not self.request.mixed

    def refuse_leaks(self, kind: Stage) -> None:
        """Raise RecipeError, before anything is trained, for an arm that the stage's settings forbid."""
        for arm in self.arms:
            kind.configure(self.of_fork(arm, 0, self.request.folder))

    def of_fork(self, arm: Arm, number: int, folder: Path) -> StageRequest:
        """The request of fork `number` (from 0) of an arm; `folder` is for what its trainer writes."""
        return replace(
            self.request,
            task=self._task(number),
            options={**self.request.options, **self._options()},
            folder=folder,
            seed=self._seed(number),
            placebo=arm.placebo,
        )

    def _task(self, number: int) -> Task:
        task = self.request.task
        return replace(task, train=task.train[number :: self.count]) if self.is_disjoint else task

    def _seed(self, number: int) -> int:
        return zlib.crc32(f"{self.request.seed}/{self.request.stage}/fork/{self.from_step}/{number}".encode())

    def _options(self) -> Mapping[str, Any]:
        """Nothing is saved and every step is logged; schedule and length are the stage's."""
        return {"save_strategy": "no", "logging_steps": 1}
