"""What a recipe would do, stage by stage, and what all of it would take.

Everything is resolved and validated (tasks are built, rewards loaded, options checked); the resolved recipe is kept
where the run would begin, but for a folder in which runs lie: nothing is written there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from interlace.analysis.shootout.arms import common_start, paths_from, sources_of
from interlace.analysis.shootout.compute import even_factors
from interlace.dry_run.prices import (
    AVERAGE_BYTES,
    COMMAND_SECONDS,
    STAGE_SECONDS,
    Prices,
    kept_bytes,
    matrix_flops_per_second,
    timed_flops,
)
from interlace.dry_run.size import parameters_of
from interlace.environment import quiet_libraries
from interlace.pipeline import base_folder, keep_resolved, run_folders, stage_folders
from interlace.pipeline.forks import fork_lengths
from interlace.pipeline.requests import build_tasks, refuse_what_cannot_run, remarks, stage_request
from interlace.policies import CoreShare
from interlace.recipe import Recipe, StageConfig
from interlace.recipe.fork_options import asked_of
from interlace.stages import STAGES, load_stage
from interlace.stages.base import StageRequest
from interlace.stages.spending import Spending
from interlace.tasks.base import Task


@dataclass(frozen=True)
class PlannedForks:
    """The forks of one stage: `count` in each of `arms`, `steps` optimizer steps in all. `disk_bytes` is what they take
    while they go, and nearly none of it afterwards; seconds and bytes as of `StagePlan`."""

    count: int
    arms: int
    steps: int
    seconds: float | None
    disk_bytes: float | None


@dataclass(frozen=True)
class StagePlan:
    """What one stage would do in a run; seconds are a rough estimate, None where the model is not on this machine.
    `num_seeds`: how many of the runs have it.

    `compute`: of training, FLOPs a parameter, by the mean lengths of prompts and expert responses; `is_open`: more or
    less, as it depends on what training sees. `even_steps`: with how many its arm, a path of stages from the start that
    most begin with, would take what at least half of the arms take, as a shoot-out compares them; None where there is
    no other arm.
    """

    stage: str
    kind: str
    method: str | None
    task: str
    start_from: str
    steps: int
    compute: float
    is_open: bool
    seconds: float | None
    disk_bytes: float | None
    forks: PlannedForks | None = None
    num_seeds: int = 1
    even_steps: int | None = None

    @property
    def whole_seconds(self) -> float:
        """With its forks; 0 where it is not known."""
        return (self.seconds or 0.0) + ((self.forks.seconds or 0.0) if self.forks else 0.0)


@dataclass(frozen=True)
class DryRun:
    """The plan of a recipe: its folders (one a seed), its stages, and what all seeds take together, forks included.

    `disk_bytes` is what they take at most: what is kept of every seed, and the forks that take most while they go.
    `resolved`: the resolved recipes that were written, none where runs lie already.
    """

    recipe: str
    folders: tuple[str, ...]
    model: str
    num_parameters: int | None
    stages: tuple[StagePlan, ...]
    seconds: float | None
    disk_bytes: float | None
    notes: tuple[str, ...]
    resolved: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return asdict(self)


def plan_recipe(recipe: Recipe, out: Path | None = None, fresh: bool = False) -> DryRun:
    """Resolve and validate `recipe` here, keep `resolved.yaml` in each run folder where no runs lie, and say what it
    would take.

    Raises what a run would raise about its recipe, data, wheel or folder. A hub model is not fetched.
    """
    quiet_libraries()
    cores = CoreShare(recipe.threads)
    cores.settle()
    cores.close()
    base = base_folder(recipe, out, fresh)
    folders = run_folders(recipe, base)
    tasks = build_tasks(recipe, recipe.seeds[0])
    refuse_what_cannot_run(recipe, tasks, folders[0], recipe.seeds[0])
    parameters, notes = parameters_of(recipe, tasks)
    prices = Prices(recipe, tasks, parameters, matrix_flops_per_second())
    plans = _with_even_steps(
        recipe,
        [
            _stage_plan(prices, stage_request(stage, config, tasks, folders[0], recipe.seeds[0], False), config)
            for stage, config in stage_folders(recipe)
        ],
    )
    resolved = keep_resolved(recipe, base)
    return DryRun(
        recipe=recipe.name,
        folders=tuple(str(folder) for folder in folders),
        model=recipe.model,
        num_parameters=parameters,
        stages=plans,
        seconds=None if parameters is None else _seconds(plans),
        disk_bytes=None if parameters is None else _disk_bytes(plans),
        notes=(*notes, *(_task_note(task) for task in tasks.values()), *remarks(tasks)),
        resolved=tuple(map(str, resolved)),
    )


def _seconds(plans: Sequence[StagePlan]) -> float:
    return COMMAND_SECONDS + sum(plan.num_seeds * plan.whole_seconds for plan in plans)


def _disk_bytes(plans: Sequence[StagePlan]) -> float:
    """What is kept of all seeds, and the forks that take most while they go."""
    kept = sum(plan.num_seeds * (plan.disk_bytes or 0.0) for plan in plans)
    return kept + max((plan.forks.disk_bytes or 0.0 for plan in plans if plan.forks), default=0.0)


def _stage_plan(prices: Prices, request: StageRequest, config: StageConfig) -> StagePlan:
    stage = load_stage(config.kind)
    arguments = stage.configure(request)
    spending = stage.spends(request, arguments, prices.lengths())
    looks = (arguments.max_steps // prices.every(config) + 2) * (2 if config.averaged_weights else 1)
    seconds = prices.seconds(timed_flops(spending), looks * prices.look(request.task))
    return StagePlan(
        stage=request.stage,
        kind=config.kind,
        method=None if config.method is None else str(config.method["name"]),
        task=config.task,
        start_from=config.start_from,
        steps=arguments.max_steps if STAGES[config.kind].trains else 0,
        compute=spending.flops_per_parameter,
        is_open=spending.is_open or config.stop is not None,
        seconds=None if seconds is None else STAGE_SECONDS + seconds,
        disk_bytes=prices.disk(kept_bytes(config)),
        forks=_planned_forks(prices, config, arguments.max_steps, spending),
        num_seeds=sum(map(config.is_of, prices.recipe.seeds)),
    )


def _planned_forks(prices: Prices, config: StageConfig, last: int, spending: Spending) -> PlannedForks | None:
    """Forks are trained as the stage is, and measured with their mean weights, on every task, at up to three lengths of
    its `last` steps. None where none are asked for.

    Raises RecipeError for a length at which the stage is not looked at.
    """
    if config.forks is None:
        return None
    forks, every = asked_of(config, config.forks), prices.every(config)
    marks = fork_lengths(forks.steps or last, sorted({*range(every, last, every), last}))
    arms = 1 if forks.placebo is None or config.placebo else 3 if forks.mirrored else 2
    readings = 1 + len(marks) * (arms + (arms == 3)) * (2 * forks.count + 1)  # pairs of mirrored forks are an arm more
    steps = forks.count * arms * marks[-1]
    seconds = prices.seconds(
        steps / last * timed_flops(spending), readings * sum(prices.look(task) for task in prices.tasks.values())
    )
    kept = forks.count * (2 if arms == 3 else 1) * len(marks) * AVERAGE_BYTES
    return PlannedForks(forks.count, arms, steps, seconds, prices.disk(kept))


def _with_even_steps(recipe: Recipe, plans: Sequence[StagePlan]) -> tuple[StagePlan, ...]:
    """The plans, of the arms that a shoot-out would compare with the steps of equal compute."""
    compute = {config.name: plan.compute for config, plan in zip(recipe.stages, plans, strict=True) if plan.compute}
    begun = sources_of({config.name: {"start_from": config.start_from} for config in recipe.stages})
    sources = {name: source for name, source in begun if name in compute}
    start, first = common_start(sources)
    factors = even_factors([*paths_from(sources, start)], compute) if len(first) > 1 else {}
    return tuple(
        replace(plan, even_steps=round(plan.steps * factors[config.name])) if config.name in factors else plan
        for config, plan in zip(recipe.stages, plans, strict=True)
    )


def _task_note(task: Task) -> str:
    count = len(task.demonstrated)
    demonstrated = f" ({count} with demonstrations)" if 0 < count < len(task.train) else ""
    known = "known" if task.expert_is_known else "not known: the data's own frequencies stand for it"
    reward = "none" if task.expert_reward is None else f"{task.expert_reward:.3f}"
    left_out = "".join(f"; {count} rows left out ({rule})" for rule, count in task.exclusions.items())
    return (
        f"task {task.name}: {len(task.train)} training{demonstrated} and {len(task.heldout)} held-out prompts; "
        f"expert reward {reward}; the expert's distribution is {known}{left_out}"
    )
