"""One `interlace measure`: everything that can be refused is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlace.checkpoints.asked import TaskLike, build_tasks, run_around, tasks_of_run
from interlace.checkpoints.blend import refuse_used
from interlace.checkpoints.choice import check_rules
from interlace.checkpoints.found import Checkpoint, PathLike, find_checkpoints
from interlace.checkpoints.line import check_ends, measure_line
from interlace.checkpoints.measure import Bench, Note, measure_checkpoints
from interlace.checkpoints.preset import STANDARD, Preset, least_losses
from interlace.checkpoints.result import Measured
from interlace.environment import quiet_libraries
from interlace.errors import RecipeError
from interlace.policies import CoreShare
from interlace.store.places import refuse_unwritable
from interlace.tasks import Task


@dataclass(frozen=True, slots=True)
class Session:
    """The arguments of `interlace.measure` that say how, under their names there."""

    between: int | None = None
    budget: float | None = None
    exchange_rate: float | None = None
    write: Path | None = None
    prompts: int | None = None
    completions: int = 8
    seed: int = 0
    dtype: str = "float32"
    preset: str = STANDARD
    least_loss: Sequence[str] = ()

    def measure(
        self,
        paths: Sequence[PathLike],
        asked: Sequence[TaskLike] | None = None,
        base: PathLike | None = None,
        note: Note | None = None,
    ) -> Measured:
        """Find, check, load and measure; raises as `interlace.measure` does."""
        self._check()
        checkpoints = find_checkpoints(paths, base)
        if self.between is not None:
            check_ends(checkpoints, self.between)
        quiet_libraries()
        tasks = self._tasks(checkpoints[0], asked)
        cores = CoreShare()
        try:
            cores.settle()
            return self._measure(checkpoints, tasks, note)
        finally:
            cores.close()

    def _measure(self, checkpoints: Sequence[Checkpoint], tasks: Sequence[Task], note: Note | None) -> Measured:
        bench = Bench(tasks, self.prompts, self.completions, self.seed, self._preset(tasks))
        measured = measure_checkpoints(checkpoints, bench, self.dtype, note)
        measured = replace(measured, budget=self.budget, exchange_rate=self.exchange_rate)
        if self.between is None:
            return measured
        line = measure_line(
            checkpoints,
            bench,
            self.between,
            seen=measured.snapshots,
            budget=self.budget,
            exchange_rate=self.exchange_rate,
            write=self.write,
            dtype=self.dtype,
            note=note,
        )
        return replace(measured, line=line)

    def _preset(self, tasks: Sequence[Task]) -> Preset:
        known = least_losses(self.least_loss, [task.name for task in tasks])
        return Preset(self.preset, self.exchange_rate, known)

    def _tasks(self, first: Checkpoint, asked: Sequence[TaskLike] | None) -> tuple[Task, ...]:
        """The tasks that are asked for, else those of the run around the first checkpoint."""
        if asked:
            return build_tasks(asked, self.seed)
        run = run_around(first.path)
        if run is None:
            raise RecipeError(
                "--task must say what to measure on. Got none, and the first checkpoint lies in no run. "
                "Say --task quickstart/sums, --task rows.jsonl or --task addition:digits=2."
            )
        return tasks_of_run(run)

    def _check(self) -> None:
        check_rules(self.budget, self.exchange_rate)
        preset = Preset(self.preset)
        if self.least_loss and not preset.measures("pl_constants"):
            raise RecipeError(f"--least-loss must stand with --preset full. Got {self.preset}. Add it.")
        for name, value, least in (("prompts", self.prompts, 2), ("completions", self.completions, 1)):
            if value is not None and value < least:
                raise RecipeError(f"--{name} must be at least {least}. Got {value}. Give more.")
        if self.write is not None:
            if self.between is None:
                raise RecipeError("--write must stand with --between: it saves a blend of two. Got none. Add it.")
            refuse_used(self.write)
            refuse_unwritable("--write", self.write)
