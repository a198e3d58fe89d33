"""Looking at checkpoints one after the other: each is loaded once, measured on every task, and let go."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.differences import differences_of
from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.loading import load_checkpoint
from interlace.checkpoints.objectives import COMPARED, KL_FROM_FIRST, level_of
from interlace.checkpoints.preset import Preset
from interlace.checkpoints.result import Cell, Measured
from interlace.estimate import Figure, Unresolved, exact
from interlace.policies import Policy
from interlace.probes import Look, MeasuredTask, ProbeContext
from interlace.tasks import Task

Snapshots: TypeAlias = dict[tuple[str, str], Snapshot]
"""What each held-out prompt contributed, by (checkpoint, task)."""
Note: TypeAlias = Callable[[str], None]
"""Told what is looked at next."""

NO_DISTANCE = exact(0.0, "nats/response")
"""KL of the first checkpoint to itself."""
NOT_ASKED = Unresolved("the preset light leaves KL out: say --preset standard")


@dataclass(frozen=True)
class View:
    """What one checkpoint showed: snapshots for the cells, and what stands in no cell, by task and quantity."""

    snapshots: Snapshots
    figures: Mapping[tuple[str, str], Figure]


@dataclass
class Bench:
    """Measures policies on tasks, all on the same prompts and with the same random numbers.

    `prompts`: held-out prompts a task (None: all); `completions`: sampled a prompt where the reward must be sampled
    (1: rewards of 0 and 1 are then compared exactly); `first` is the policy that KL is taken to and that displacements
    begin at, the first one seen.
    """

    tasks: Sequence[Task]
    prompts: int | None = None
    completions: int = 8
    seed: int = 0
    preset: Preset = field(default_factory=Preset)
    first: Policy | None = None
    targets: dict[str, MeasuredTask] = field(default_factory=dict)

    def look(self, name: str, policy: Policy) -> Snapshots:
        """What cells need of every task. Cost: a forward over expert responses, samples, two over samples."""
        return self._view(name, policy, self.preset.for_cells).snapshots

    def view(self, name: str, policy: Policy) -> View:
        """Everything that the preset pays for. Cost of `full`: that of the probes, gradients of all tasks shared."""
        return self._view(name, policy, self.preset)

    def _view(self, name: str, policy: Policy, preset: Preset) -> View:
        self.first = self.first or policy
        look = Look()
        for task in self.tasks:
            self._join(look, task, policy)
        snapshots: Snapshots = {}
        figures: dict[tuple[str, str], Figure] = {}
        for context in look.contexts:
            task_name = context.target.task.name
            found, scores = preset.look(context)
            snapshots[name, task_name] = Snapshot(context.target.heldout, 0, None, scores)
            figures |= {(task_name, quantity): figure for quantity, figure in found.items()}
        return View(snapshots, figures)

    def _join(self, look: Look, task: Task, policy: Policy) -> None:
        """Add a task's context to the look of all tasks."""
        target = MeasuredTask.prepare(task, policy, self.prompts)
        known = self.targets.setdefault(task.name, target)
        first = self.first or policy
        start = first if policy.shares_vocabulary(first) and known.responses == target.responses else policy
        seed = zlib.crc32(f"{self.seed}/{task.name}".encode())
        ProbeContext(policy, start, target, self.completions, seed, look=look)


def measure_checkpoints(
    checkpoints: Sequence[Checkpoint], bench: Bench, dtype: str = "float32", note: Note | None = None
) -> Measured:
    """Every checkpoint on every task of `bench`. Two policies at most are held in memory: the first, and one more.

    `note` is told of each checkpoint before it is loaded. Raises ModelError if one does not load, DataError as probes
    do.
    """
    snapshots: Snapshots = {}
    figures: list[Cell] = []
    for number, checkpoint in enumerate(checkpoints, start=1):
        if note is not None:
            note(f"{checkpoint.name} ({number} of {len(checkpoints)})")
        view = bench.view(checkpoint.name, load_checkpoint(checkpoint, dtype))
        snapshots |= view.snapshots
        figures += [Cell(checkpoint.name, *key, figure) for key, figure in view.figures.items()]
    return Measured(
        checkpoints=tuple(checkpoints),
        tasks=tuple(task.name for task in bench.tasks),
        cells=tuple(cells_of(snapshots, with_kl=bench.preset.measures("divergence"))),
        differences=differences_of(snapshots),
        snapshots=snapshots,
        figures=tuple(figures),
    )


def cells_of(snapshots: Snapshots, *, with_kl: bool = True) -> Iterator[Cell]:
    """Every objective of every snapshot; the first one's KL to itself is 0, exactly."""
    first = next(iter(snapshots))[0]
    for (name, task), snapshot in snapshots.items():
        for objective in COMPARED:
            figure = NO_DISTANCE if name == first else NOT_ASKED
            if objective != KL_FROM_FIRST or (with_kl and name != first):
                figure = level_of(objective, snapshot)
            yield Cell(name, task, objective, figure)
