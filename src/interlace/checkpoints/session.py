"""One `interlace measure`: all that can be refused is refused in order of what it costs to see, the arguments first.

What loads weights (torch and Transformers, some seconds) is imported after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlace.checkpoints.asked import TaskLike, build_tasks, run_around, tasks_of_run
from interlace.checkpoints.choice import check_rules
from interlace.checkpoints.conditions import Condition, parse_condition, refuse_undecidable
from interlace.checkpoints.ends import check_ends
from interlace.checkpoints.found import Checkpoint, PathLike, find_checkpoints
from interlace.checkpoints.least_losses import least_losses
from interlace.checkpoints.result import Measured
from interlace.environment import quiet_libraries
from interlace.errors import RecipeError, unknown_name
from interlace.store.places import refuse_unwritable, refuse_used
from interlace.tasks import Task

if TYPE_CHECKING:
    from interlace.checkpoints.measure import Bench, Note

STANDARD, FULL = "standard", "full"
PRESETS = (FULL, "light", "planning", STANDARD)
"""The names of `interlace.probes.PRESETS`, which imports torch."""
DTYPES = ("bfloat16", "float16", "float32", "float64")
"""The names of `interlace.policies.loading.DTYPES`."""


@dataclass(frozen=True, slots=True)
class Session:
    """The arguments of `interlace.measure` that say how, under their names there; `fail_on` as of ``--fail-on``."""

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
    fail_on: Sequence[str] = ()

    @property
    def conditions(self) -> list[Condition]:
        """The gate. Raises RecipeError as `parse_condition` does."""
        return [parse_condition(text) for text in self.fail_on]

    def measure(
        self,
        paths: Sequence[PathLike],
        asked: Sequence[TaskLike] | None = None,
        base: PathLike | None = None,
        note: Note | None = None,
    ) -> Measured:
        """Find, check, load and measure; raises as `interlace.measure` does."""
        self._check()
        given = build_tasks(asked, self.seed) if asked else ()
        checkpoints = find_checkpoints(paths, base)
        if self.between is not None:
            check_ends(checkpoints, self.between)
        tasks = given or _tasks_around(checkpoints[0])
        names = [task.name for task in tasks]
        refuse_undecidable(self.conditions, checkpoints, names)
        known = least_losses(self.least_loss, names)
        return self._measure(checkpoints, tasks, known, note)

    def _measure(
        self, checkpoints: Sequence[Checkpoint], tasks: Sequence[Task], known: dict[str, float], note: Note | None
    ) -> Measured:
        from interlace.checkpoints.measure import Bench, measure_checkpoints
        from interlace.checkpoints.preset import Preset
        from interlace.policies import CoreShare

        quiet_libraries()
        cores = CoreShare()
        try:
            cores.settle()
            preset = Preset(self.preset, self.exchange_rate, known)
            bench = Bench(tasks, self.prompts, self.completions, self.seed, preset)
            measured = measure_checkpoints(checkpoints, bench, self.dtype, note)
            measured = replace(measured, budget=self.budget, exchange_rate=self.exchange_rate)
            return measured if self.between is None else self._with_line(measured, bench, self.between, note)
        finally:
            cores.close()

    def _with_line(self, measured: Measured, bench: Bench, between: int, note: Note | None) -> Measured:
        from interlace.checkpoints.line import measure_line

        line = measure_line(
            measured.checkpoints,
            bench,
            between,
            seen=measured.snapshots,
            budget=self.budget,
            exchange_rate=self.exchange_rate,
            write=self.write,
            dtype=self.dtype,
            note=note,
        )
        return replace(measured, line=line)

    def _check(self) -> None:
        """What the arguments alone forbid."""
        check_rules(self.budget, self.exchange_rate)
        _ = self.conditions
        for name, word, known in (("--preset", self.preset, PRESETS), ("--dtype", self.dtype, DTYPES)):
            if word not in known:
                raise RecipeError(unknown_name(name, word, known))
        if self.least_loss and self.preset != FULL:
            raise RecipeError(f"--least-loss must stand with --preset full. Got {self.preset}. Add it.")
        for name, value, least in (("prompts", self.prompts, 2), ("completions", self.completions, 1)):
            if value is not None and value < least:
                raise RecipeError(f"--{name} must be at least {least}. Got {value}. Give more.")
        if self.between is not None and self.between < 1:
            raise RecipeError(f"--between must be at least 1 blend. Got {self.between}. Give another number.")
        if self.write is not None:
            if self.between is None:
                raise RecipeError("--write must stand with --between: it saves a blend of two. Got none. Add it.")
            refuse_used("--write", self.write)
            refuse_unwritable("--write", self.write)


def _tasks_around(first: Checkpoint) -> tuple[Task, ...]:
    """The tasks of the run that the first checkpoint lies in. Raises RecipeError if it lies in none."""
    run = run_around(first.path)
    if run is None:
        raise RecipeError(
            "--task must say what to measure on. Got none, and the first checkpoint lies in no run. "
            "Say --task quickstart/sums, --task rows.jsonl or --task addition:digits=2."
        )
    return tasks_of_run(run)
