"""One `interlace plan CKPT`: everything that can be refused is refused before the checkpoint is loaded.

What loads it (torch and Transformers, some seconds) is imported after that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace.checkpoints.asked import TaskLike, build_tasks, run_around, tasks_of_run
from interlace.checkpoints.found import Checkpoint, PathLike, find_checkpoints
from interlace.environment import quiet_libraries
from interlace.errors import DataError, RecipeError, unknown_name
from interlace.estimate import Figure, Unresolved
from interlace.forecasting import MODELS, Preflight, Start, facts_of, preflight, start_of
from interlace.forecasting.preflight import KL_MODEL
from interlace.planning.result import CrossCost, Plan
from interlace.planning.steps import Pace, PilotStage, pace_of
from interlace.statistics.intervals import MINIMUM_PROMPTS
from interlace.tasks import Task
from interlace.theory.paths import PATH_MODELS, PathOptions

if TYPE_CHECKING:
    from interlace.analysis.trajectory import Snapshot
    from interlace.checkpoints.measure import Bench, Note
    from interlace.policies import Policy

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
    learning_rate: float | None = None
    batch: int | None = None
    pilot_steps: int = 20

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
        policy = load_checkpoint(checkpoint, self.dtype)
        view = bench.view(checkpoint.name, policy)
        if note is not None:
            note("following the path models")
        starts = {task: _start(snapshot) for (_, task), snapshot in view.snapshots.items()}
        forecasts = {task: self._forecast(start) for task, start in starts.items()}
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
            paces=dict(self._paces(policy, bench, starts, forecasts, note)),
        )

    def _forecast(self, start: Start | Unresolved) -> Preflight | Unresolved:
        if isinstance(start, Unresolved):
            return start
        return preflight(start, self._options, exchange_rate=self.exchange_rate, models=self.path_models)

    def _paces(
        self,
        policy: Policy,
        bench: Bench,
        starts: Mapping[str, Start | Unresolved],
        forecasts: Mapping[str, Preflight | Unresolved],
        note: Note | None,
    ) -> Iterator[tuple[str, Pace | Unresolved]]:
        """Pilots of RL on every task that has a forecast, where a learning rate was given."""
        stage = self._stage
        if stage is None:
            return
        from interlace.planning.piloting import take_pilots

        for task, start in starts.items():
            target, found = bench.targets[task], forecasts[task]
            if isinstance(start, Unresolved) or isinstance(found, Unresolved):
                continue
            short = stage.refusal(len(target.task.train))
            if short is not None:
                yield task, short
                continue
            pilots = take_pilots(policy, target, start.reward_range, stage, self.completions, self.seed, note)
            yield task, pace_of(pilots, found, stage, self.seed)

    @property
    def _stage(self) -> PilotStage | None:
        if self.learning_rate is None or self.batch is None:
            return None
        return PilotStage(self.learning_rate, self.batch, self.group_size, self.kl_coefficient, self.pilot_steps)

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
        if KL_MODEL in self.path_models and not self.kl_coefficient:
            raise RecipeError(f"--path-model {KL_MODEL} must have the KL coefficient. Got none. Say --beta 0.1.")
        if not (math.isfinite(self.kl_coefficient) and self.kl_coefficient >= 0.0):
            raise RecipeError(f"--beta must be at least 0. Got {self.kl_coefficient}. Leave it out for no KL term.")
        for name, value, least in (
            ("group-size", self.group_size, 2), ("prompts", self.prompts, 2), ("completions", self.completions, 2)
        ):  # fmt: skip
            if value is not None and value < least:
                raise RecipeError(f"--{name} must be at least {least}. Got {value}. Give more.")
        self._check_steps()

    def _check_steps(self) -> None:
        if (self.learning_rate is None) != (self.batch is None):
            given = "--batch" if self.learning_rate is None else "--learning-rate"
            raise RecipeError(
                f"--learning-rate and --batch must stand together: steps depend on both. Got {given} alone. "
                "Say --learning-rate 3e-4 --batch 256, or leave both out."
            )
        if self._stage is not None:
            self._stage.check()


def _start(snapshot: Snapshot) -> Start | Unresolved:
    found = _enough(snapshot.held.num_prompts) or start_of(snapshot.held, snapshot.scores)
    return found if isinstance(found, Unresolved) else _still(found) or found


def _still(start: Start) -> Unresolved | None:
    """Why RL has nothing to move along from here, if so: rewards that differ within no prompt, or within so few that
    samples do not resolve their variance above 0."""
    spread = facts_of(start).reward_variance
    if isinstance(spread, Unresolved):
        return spread
    if spread.value > 0.0 and (start.pass_rates_are_exact or spread.lower > 0.0):
        return None
    if start.pass_rates_are_exact:
        return Unresolved("no reward differs within a prompt: without variance within prompts RL moves nowhere")
    differ = np.count_nonzero(start.scores.reward_variance())
    variance = f"({spread}) is not resolved above 0" if differ else "is 0 as far as was sampled"
    return Unresolved(
        f"sampled rewards differ within {differ} of {start.held.num_prompts} prompts: the variance within prompts "
        f"{variance}, so no curve can be drawn; sample more (--completions 64), or start from a checkpoint "
        "whose reward varies"
    )


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
