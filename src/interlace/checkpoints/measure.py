"""Looking at checkpoints one after the other: each is loaded once, measured on every task, and let go."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.loading import load_checkpoint
from interlace.checkpoints.objectives import COMPARED, KL_FROM_FIRST, level_of
from interlace.checkpoints.result import Cell, Measured, differences_of
from interlace.estimate import exact
from interlace.measurement import PromptScores
from interlace.policies import Policy
from interlace.probes import PROBES, MeasuredTask, ProbeContext
from interlace.tasks import Task

INSTRUMENTS = ("sft_loss", "reward", "divergence")
"""The probes of a cell."""

Snapshots: TypeAlias = dict[tuple[str, str], Snapshot]
"""What each held-out prompt contributed, by (checkpoint, task)."""
Note: TypeAlias = Callable[[str], None]
"""Told what is looked at next."""

NO_DISTANCE = exact(0.0, "nats/response")
"""KL of the first checkpoint to itself."""


@dataclass
class Bench:
    """Measures policies on tasks, all on the same prompts and with the same random numbers.

    `prompts`: held-out prompts a task (None: all); `completions`: sampled a prompt where the reward must be sampled
    (1: rewards of 0 and 1 are then compared exactly); `first` is the policy that KL is taken to, the first one seen.
    """

    tasks: Sequence[Task]
    prompts: int | None = None
    completions: int = 8
    seed: int = 0
    first: Policy | None = None
    targets: dict[str, MeasuredTask] = field(default_factory=dict)

    def look(self, name: str, policy: Policy) -> Snapshots:
        """Measure every task under `policy`. Cost: a forward over expert responses, samples, two over samples."""
        self.first = self.first or policy
        return {(name, task.name): self._snapshot(task, policy) for task in self.tasks}

    def _snapshot(self, task: Task, policy: Policy) -> Snapshot:
        target = MeasuredTask.prepare(task, policy, self.prompts)
        known = self.targets.setdefault(task.name, target)
        first = self.first or policy
        start = first if policy.shares_vocabulary(first) and known.responses == target.responses else policy
        context = ProbeContext(policy, start, target, self.completions, zlib.crc32(f"{self.seed}/{task.name}".encode()))
        scores: dict[str, Any] = {}
        for probe in (PROBES[name] for name in INSTRUMENTS):
            if probe.applies(context):
                scores |= probe.measure(context).scores
        return Snapshot(target.heldout, 0, None, PromptScores(**scores))


def measure_checkpoints(
    checkpoints: Sequence[Checkpoint], bench: Bench, dtype: str = "float32", note: Note | None = None
) -> Measured:
    """Every checkpoint on every task of `bench`. Two policies at most are held in memory: the first, and one more.

    `note` is told of each checkpoint before it is loaded. Raises ModelError if one does not load, DataError as probes
    do.
    """
    snapshots: Snapshots = {}
    for number, checkpoint in enumerate(checkpoints, start=1):
        if note is not None:
            note(f"{checkpoint.name} ({number} of {len(checkpoints)})")
        snapshots |= bench.look(checkpoint.name, load_checkpoint(checkpoint, dtype))
    return Measured(
        checkpoints=tuple(checkpoints),
        tasks=tuple(task.name for task in bench.tasks),
        cells=tuple(cells_of(snapshots)),
        differences=differences_of(snapshots),
        snapshots=snapshots,
    )


def cells_of(snapshots: Snapshots) -> Iterator[Cell]:
    """Every objective of every snapshot; the first one's KL to itself is 0, exactly."""
    first = next(iter(snapshots))[0]
    for (name, task), snapshot in snapshots.items():
        for objective in COMPARED:
            is_itself = objective == KL_FROM_FIRST and name == first
            yield Cell(name, task, objective, NO_DISTANCE if is_itself else level_of(objective, snapshot))
