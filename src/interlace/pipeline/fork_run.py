"""`interlace fork`: forks of a stage of a run folder that is finished, planned or made."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from interlace.analysis import summarise
from interlace.analysis.summary import ForkSummary
from interlace.callback import StopRequest
from interlace.environment import quiet_libraries
from interlace.errors import RecipeError, RunFolderError, unknown_name
from interlace.forking import ForkCost
from interlace.observer import Observer
from interlace.pipeline.forks import StageForks
from interlace.pipeline.requests import build_tasks, refuse_changed_data, stage_folders
from interlace.pipeline.weights import Weights
from interlace.policies import CoreShare
from interlace.recipe import ForksConfig, Recipe, StageConfig, load_recipe
from interlace.store import RunStore, read_run
from interlace.store.run_store import RESOLVED, read_manifest, read_resolved
from interlace.tasks.base import Task


@dataclass(frozen=True)
class ForkRun:
    """Forks asked of one stage (None: the first RL stage, else the first) of the run in `folder`.

    Both verbs raise RunFolderError and RecipeError as `interlace.fork` says.
    """

    folder: Path
    stage: str | None
    asked: ForksConfig
    from_step: int = 0
    given: Mapping[str, Task] = field(default_factory=dict)
    observer: Observer = field(default_factory=Observer)

    def make(self) -> ForkSummary:
        """Train and measure them, and read back what they show. Ctrl-C ends it at the next step, to be gone on with."""
        with _listening() as stop, self._stage_forks(stop) as forks:
            forks.run()
        stages = summarise(read_run(self.folder)).stages
        return next(each for each in stages[forks.config.name].forks if each.from_step == self.from_step)

    def plan(self) -> ForkCost:
        """What they would take; nothing is trained."""
        with self._stage_forks(StopRequest()) as forks:
            return forks.cost()

    @contextmanager
    def _stage_forks(self, stop: StopRequest) -> Iterator[StageForks]:
        quiet_libraries()
        recipe = _recipe_of(self.folder)
        seed = recipe.seeds[0]
        name, config = _stage_of(recipe, self.stage)
        tasks = build_tasks(recipe, seed, self.given)
        refuse_changed_data(self.folder, tasks)
        cores, store = CoreShare(recipe.threads), RunStore(self.folder)
        try:
            cores.settle()
            weights = Weights(recipe, seed, store, tasks, read_manifest(self.folder, "bf16_auto")["bf16_auto"])
            yield StageForks(recipe, seed, store, tasks, weights, name, config, self.asked, self.observer,
                             self.from_step, stop)  # fmt: skip
        finally:
            store.close()
            cores.close()


@contextmanager
def _listening() -> Iterator[StopRequest]:
    """Signals can be caught in the main thread alone; elsewhere nobody asks to stop."""
    stop = StopRequest()
    is_main = threading.current_thread() is threading.main_thread()
    with stop.listening() if is_main else nullcontext():
        yield stop


def _recipe_of(folder: Path) -> Recipe:
    """The recipe that a run was trained by. Raises RunFolderError where another trainer wrote the folder."""
    read_manifest(folder)
    if "attached" in read_resolved(folder):
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
