"""Forking a stage of a run folder: what a finished stage says of its start, its settings and where it was looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from interlace.analysis import summarise
from interlace.analysis.summary import ForkSummary
from interlace.environment import quiet_libraries
from interlace.errors import RecipeError, RunFolderError, unknown_name
from interlace.forking import Experiment, ForkPlan
from interlace.forking.second_moment import refuse_unfit
from interlace.observer import Observer
from interlace.pipeline.requests import refuse_changed_data, stage_folders, stage_request
from interlace.pipeline.targets import prepared_targets
from interlace.pipeline.weights import Weights
from interlace.policies import CoreShare
from interlace.policies.randomness import untouched_randomness
from interlace.recipe import ForksConfig, Recipe, StageConfig, load_recipe
from interlace.stages import load_stage
from interlace.stages.base import Stage
from interlace.store import RunStore, StageRecord, read_run
from interlace.store.checkpoints import checkpoint_step, verify_checkpoint
from interlace.store.run_store import RESOLVED, read_manifest
from interlace.tasks import build_task
from interlace.tasks.base import Task

SHARES_OF_LENGTH = (0.25, 0.5, 1.0)
"""Where a fork is measured: what it shows is asked against its length (B8)."""


@dataclass(frozen=True)
class StageForks:
    """The forks of one finished stage, from its start (`from_step` 0) or from a checkpoint that it kept."""

    recipe: Recipe
    seed: int
    store: RunStore
    tasks: dict[str, Task]
    weights: Weights
    stage: str
    config: StageConfig
    asked: ForksConfig
    observer: Observer
    from_step: int = 0
    is_stopped: Callable[[], bool] = lambda: False

    def run(self) -> None:
        """Train and measure them, and record what they show.

        Raises RecipeError for a place or a length that the stage does not have, or a placebo that it forbids.
        """
        with untouched_randomness():
            self._experiment(self._record()).run()

    def _experiment(self, record: StageRecord) -> Experiment:
        kind, checkpoint = load_stage(self.config.kind), self._checkpoint()
        plan = self._plan(kind, record, checkpoint)
        start = self.weights.load(checkpoint or self.weights.start_of(self.config))
        return Experiment(
            plan=plan,
            kind=kind,
            start=start,
            store=self.store,
            observer=self.observer,
            targets=prepared_targets(self.recipe, self.tasks, start),
            completions=self.recipe.measure.completions,
            number=len(record.forks) + 1,
            is_stopped=self.is_stopped,
        )

    def _record(self) -> StageRecord:
        found = {item.stage: item for item in read_run(self.store.folder).stages}.get(self.stage)
        if found is None or not found.finished:
            raise RecipeError(
                f"stage {self.config.name!r} must be finished before it is forked. It is not. Run it first."
            )
        return found

    def _checkpoint(self) -> Path | None:
        """The checkpoint to fork from; None for the stage's start. Raises RecipeError if none was kept there."""
        if self.from_step == 0:
            return None
        kept = {checkpoint_step(path): path for path in self.store.stage_folder(self.stage).glob("checkpoint-*")}
        if self.from_step not in kept:
            steps = ", ".join(map(str, sorted([0, *kept])))
            raise RecipeError(
                f"forks of {self.config.name!r} must begin where its weights were kept. Got step {self.from_step}. "
                f"Choose from {steps}, or keep more with TRL's save_steps and save_total_limit."
            )
        found = kept[self.from_step]
        damage = verify_checkpoint(found)
        if damage is not None:
            raise RunFolderError(f"{found} must be whole to fork from. But {damage}. Restore it.")
        refuse_unfit(found)
        return found

    def _plan(self, kind: Stage, record: StageRecord, checkpoint: Path | None) -> ForkPlan:
        task, asked = self.tasks[self.config.task], self.asked
        bf16 = self.weights.in_bf16(self.config)
        request = stage_request(self.stage, self.config, task, self.store.folder, self.seed, bf16)
        arguments = kind.configure(request)
        marks = self._marks(record)
        completions = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * marks[-1]
        is_rl = self.config.kind == "rl"
        return ForkPlan(
            request=request,
            count=asked.count,
            marks=marks,
            placebo=asked.placebo if is_rl else None,
            mirrored=asked.mirrored and is_rl,
            from_step=self.from_step,
            checkpoint=checkpoint or self.weights.optimizer_of(self.config),
            num_prompts=-(-completions // getattr(arguments, "num_generations", 1)),
        )

    def _marks(self, record: StageRecord) -> tuple[int, ...]:
        """Fork lengths to measure at, the longest last: where the run itself was looked at, if it went that far."""
        looked = {item.point.step - self.from_step for item in record.measurements if item.point.task == record.task}
        left = record.steps_done - self.from_step
        if left and (self.asked.steps or left) > left:
            raise RecipeError(
                f"forks must be no longer than the stage goes on from step {self.from_step}: {left} steps. "
                f"Got {self.asked.steps}. Ask for fewer."
            )
        return fork_lengths(self.asked.steps or left or record.steps_done, sorted(step for step in looked if step > 0))


def fork_run(
    folder: Path,
    stage: str | None,
    asked: ForksConfig,
    from_step: int,
    given: Mapping[str, Task],
    observer: Observer,
) -> ForkSummary:
    """Fork a stage (None: the first RL stage, else the first) of the run in `folder`, and read back what that shows.

    Raises RunFolderError and RecipeError as `interlace.fork` says.
    """
    quiet_libraries()
    recipe = _recipe_of(folder)
    seed = recipe.seeds[0]
    name, config = _stage_of(recipe, stage)
    tasks = {task: given.get(task) or build_task(task, options, seed) for task, options in recipe.tasks.items()}
    refuse_changed_data(folder, tasks)
    cores, store = CoreShare(recipe.threads), RunStore(folder)
    try:
        cores.settle()
        weights = Weights(recipe, seed, store, tasks, read_manifest(folder)["bf16_auto"])
        StageForks(recipe, seed, store, tasks, weights, name, config, asked, observer, from_step).run()
    finally:
        store.close()
        cores.close()
    forks = summarise(read_run(folder)).stages[config.name].forks
    return next(item for item in forks if item.from_step == from_step)


def _recipe_of(folder: Path) -> Recipe:
    """The recipe that a run was trained by. Raises RunFolderError where another trainer wrote the folder."""
    read_manifest(folder)
    text = (folder / RESOLVED).read_text(encoding="utf-8")
    if "attached" in YAML(typ="safe").load(text):
        raise RunFolderError(
            f"{folder} must be a run that `interlace run` trained, to train copies of it. Another trainer wrote it. "
            "Train the stage by a recipe."
        )
    return load_recipe(folder / RESOLVED)


def _stage_of(recipe: Recipe, name: str | None) -> tuple[str, StageConfig]:
    folders = stage_folders(recipe)
    if name is None:
        return next((entry for entry in folders if entry[1].kind == "rl"), folders[0])
    found = {config.name: (stage, config) for stage, config in folders}
    if name not in found:
        raise RecipeError(unknown_name("--stage", name, found))
    return found[name]


def fork_lengths(steps: int, looked: Sequence[int]) -> tuple[int, ...]:
    """About a quarter, a half and all of `steps`: among the steps `looked` at where there are any within the run.

    Raises RecipeError if the run went further than `steps` but was not looked at there: nothing could be compared.

    >>> fork_lengths(100, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
    (20, 50, 100)
    >>> fork_lengths(6, [])
    (2, 3, 6)
    """
    if not looked or steps > looked[-1]:
        return tuple(dict.fromkeys(max(1, -int(-share * steps // 1)) for share in SHARES_OF_LENGTH))
    if steps not in looked:
        raise RecipeError(
            f"forks must be as long as a step at which the run was looked at. Got {steps}. "
            f"Choose from {', '.join(map(str, looked))}."
        )
    within = [step for step in looked if step <= steps]
    return tuple(sorted({min(within, key=lambda step: abs(step - share * steps)) for share in SHARES_OF_LENGTH}))
