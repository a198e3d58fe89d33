"""One `interlace plan CKPT`: everything that can be refused is refused before the checkpoint is loaded.

What loads it (torch and Transformers, some seconds) is imported after that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlace.checkpoints.asked import TaskLike, build_tasks, run_around, tasks_of_run
from interlace.checkpoints.found import Checkpoint, PathLike, find_checkpoints
from interlace.environment import quiet_libraries
from interlace.errors import DataError, RecipeError, unknown_name
from interlace.estimate import Figure, Unresolved
from interlace.forecasting import MODELS, Preflight, preflight, start_of
from interlace.planning.result import CrossCost, Plan
from interlace.statistics.intervals import MINIMUM_PROMPTS
from interlace.tasks import Task
from interlace.theory.paths import PATH_MODELS, PathOptions

if TYPE_CHECKING:
    from interlace.checkpoints.measure import Note, Snapshots

LINEARISED = "linearised_cost/"
"""Before a task's name: the quantity that `probes.linearised` gives for it."""


@dataclass(frozen=True, slots=True)
class Session:
    """The arguments of `interlace.plan` that say how, under their names there."""

    exchange_rate: float | None = None
    group_size: int = 8
    kl_coefficient: float = 0.0
    prompts: int | None = None
    completions: int = 8
    seed: int = 0
    dtype: str = "float32"
    gradients: bool | None = None
    path_models: Sequence[str] = MODELS

    def plan(
        self,
        path: PathLike,
        asked: Sequence[TaskLike] | None = None,
        base: PathLike | None = None,
        note: Note | None = None,
    ) -> Plan:
        """Find, check, load, measure and forecast; raises as `interlace.plan` does."""
        self._check()
        given = build_tasks(asked, self.seed) if asked else ()
        (checkpoint,) = _one(find_checkpoints([path], base))
        tasks = given or _tasks_around(checkpoint)

        from interlace.policies import CoreShare

        quiet_libraries()
        cores = CoreShare()
        try:
            cores.settle()
            return self._plan(checkpoint, tasks, note)
        finally:
            cores.close()

    def _plan(self, checkpoint: Checkpoint, tasks: Sequence[Task], note: Note | None) -> Plan:
        from interlace.checkpoints.loading import load_checkpoint
        from interlace.checkpoints.measure import Bench
        from interlace.checkpoints.preset import Preset

        if note is not None:
            note(f"measuring {checkpoint.name}")
        prices = Preset("planning" if self._with_gradients(tasks) else "light")
        bench = Bench(tasks, self.prompts, self.completions, self.seed, prices)
        view = bench.view(checkpoint.name, load_checkpoint(checkpoint, self.dtype))
        if note is not None:
            note("following the path models")
        forecasts = dict(self._forecasts(view.snapshots))
        mute = [f"{task}: {found.reason}" for task, found in forecasts.items() if isinstance(found, Unresolved)]
        if len(mute) == len(forecasts):
            raise DataError(f"plan must be able to forecast RL on a task. It cannot: {'; '.join(mute)}.")
        return Plan(
            checkpoint=checkpoint.name,
            tasks=tuple(task.name for task in tasks),
            forecasts=forecasts,
            costs=tuple(_costs(view.figures)),
            exchange_rate=self.exchange_rate,
            options=self._options,
        )

    def _forecasts(self, snapshots: Snapshots) -> Iterator[tuple[str, Preflight | Unresolved]]:
        for (_, task), snapshot in snapshots.items():
            start = _enough(snapshot.held.num_prompts) or start_of(snapshot.held, snapshot.scores)
            if isinstance(start, Unresolved):
                yield task, start
            else:
                yield task, preflight(start, self._options, exchange_rate=self.exchange_rate, models=self.path_models)

    @property
    def _options(self) -> PathOptions:
        return PathOptions(group_size=self.group_size, kl_coefficient=self.kl_coefficient or None)

    def _with_gradients(self, tasks: Sequence[Task]) -> bool:
        """Gradients are the only thing that speaks across tasks, so several tasks ask for them."""
        return len(tasks) > 1 if self.gradients is None else self.gradients

    def _check(self) -> None:
        if self.exchange_rate is not None and not (math.isfinite(self.exchange_rate) and self.exchange_rate > 0.0):
            raise RecipeError(
                f"--exchange-rate must be the reward that one nat of SFT loss is worth, above 0. Got "
                f"{self.exchange_rate}. "
                "Say --exchange-rate 0.5."
            )
        for name in self.path_models:
            if name not in PATH_MODELS:
                raise RecipeError(unknown_name("--path-model", name, PATH_MODELS))
        if not (math.isfinite(self.kl_coefficient) and self.kl_coefficient >= 0.0):
            raise RecipeError(f"--beta must be at least 0. Got {self.kl_coefficient}. Leave it out for no KL term.")
        for name, value, least in (
            ("group-size", self.group_size, 2), ("prompts", self.prompts, 2), ("completions", self.completions, 2)
        ):  # fmt: skip
            if value is not None and value < least:
                raise RecipeError(f"--{name} must be at least {least}. Got {value}. Give more.")


def _enough(num_prompts: int) -> Unresolved | None:
    """Why so many prompts carry no forecast, if so."""
    if num_prompts >= MINIMUM_PROMPTS:
        return None
    return Unresolved(f"a forecast needs at least {MINIMUM_PROMPTS} held-out prompts, got {num_prompts}")


def _one(found: Sequence[Checkpoint]) -> Sequence[Checkpoint]:
    if len(found) == 1:
        return found
    names = ", ".join(item.name for item in found)
    raise RecipeError(
        f"plan starts from one checkpoint. Got {len(found)}: {names}. Name the one that RL will start from."
    )


def _tasks_around(checkpoint: Checkpoint) -> tuple[Task, ...]:
    """The tasks of the run that the checkpoint lies in. Raises RecipeError if it lies in none."""
    run = run_around(checkpoint.path)
    if run is None:
        raise RecipeError(
            "--task must say what RL would be trained on. Got none, and the checkpoint lies in no run. "
            "Say --task quickstart/sums, --task rows.jsonl or --task addition:digits=2."
        )
    return tasks_of_run(run)


def _costs(figures: Mapping[tuple[str, str], Figure]) -> Iterator[CrossCost]:
    """D15's prices among what the probes found."""
    for (task, quantity), figure in figures.items():
        if quantity.startswith(LINEARISED):
            yield CrossCost(quantity.removeprefix(LINEARISED), task, figure)
