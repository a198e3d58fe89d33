"""One seed of a recipe in its run folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlace.callback import StopRequest
from interlace.environment import run_manifest
from interlace.errors import RunFolderError, TrainingError
from interlace.observer import Observer
from interlace.pipeline.diverging import REMEDY
from interlace.pipeline.forks import StageForks
from interlace.pipeline.requests import (
    build_tasks,
    refuse_changed_data,
    refuse_what_cannot_run,
    remarks,
    stage_folders,
)
from interlace.pipeline.stage_run import StageRun, refuse_if_stopped
from interlace.pipeline.weights import Weights
from interlace.policies import CoreShare
from interlace.recipe import ForksConfig, Recipe, StageConfig, needed
from interlace.store import RunStore, read_run
from interlace.store.run_store import read_manifest
from interlace.tasks.base import Task
from interlace.wording import listed


@dataclass(frozen=True)
class MachineSettings:
    """What the recipe leaves to the machine: its cores, shared by the runs on it, and what `bf16: auto` stands for."""

    cores: CoreShare
    bf16: bool


@dataclass
class SeedRun:
    """All stages of one seed."""

    recipe: Recipe
    seed: int
    folder: Path
    base: Path
    observer: Observer
    stop: StopRequest
    machine: MachineSettings
    given: dict[str, Task]

    def finish(self) -> None:
        """Do every stage that is not done yet. Nothing is written before all that can be checked is."""
        tasks = build_tasks(self.recipe, self.seed, self.given)
        refuse_what_cannot_run(self.recipe, tasks, self.folder, self.seed)
        store = self._claim(tasks)
        try:
            self.observer.run_started(str(self.folder), self.seed)
            for sentence in remarks(tasks) if self.seed == self.recipe.seeds[0] else ():
                self.observer.note(sentence)
            weights = Weights(self.recipe, self.seed, store, tasks, self.machine.bf16)
            self._stages(store, tasks, weights)
        finally:
            store.close()

    def _stages(self, store: RunStore, tasks: dict[str, Task], weights: Weights) -> None:
        """In order; one that diverged is left as it is, and what needs it untrained.

        Raises TrainingError, once all others are done, where something needs it.
        """
        records = {item.stage: item for item in read_run(self.folder).stages}
        lost, untrained = {item.name for item in records.values() if item.diverged is not None}, []
        for stage, config in stage_folders(self.recipe):
            if not config.is_of(self.seed):
                self.observer.note(f"{stage}: left out, the recipe gives it to seeds {list(config.seeds or ())} alone")
                continue
            missed = sorted(needed(self.recipe, config) & lost)
            if missed:
                lost.add(config.name)
                untrained.append(f"{config.name} needs {listed(missed)}")
                continue
            if config.name not in lost and not (stage in records and records[stage].finished):
                lost |= self._stage(stage, config, store, tasks, weights)
            if config.forks is not None and config.name not in lost and not (stage in records and records[stage].forks):
                self._fork(stage, config, config.forks, store, tasks, weights)
        if untrained:
            raise TrainingError(
                f"every stage must begin with finite weights. But {'; '.join(untrained)}, whose are not: a stage "
                f"diverged. {REMEDY}"
            )

    def _stage(
        self, stage: str, config: StageConfig, store: RunStore, tasks: dict[str, Task], weights: Weights
    ) -> set[str]:
        """Its name if it diverged, else nothing."""
        self.machine.cores.settle()
        run = StageRun(
            self.recipe, self.seed, store, self.base, self.observer, self.stop, tasks, weights, stage, config
        )
        has_ended = run.finish()
        refuse_if_stopped(self.stop, f"after {stage}", self.base)
        return set() if has_ended else {config.name}

    def _fork(
        self,
        stage: str,
        config: StageConfig,
        asked: ForksConfig,
        store: RunStore,
        tasks: dict[str, Task],
        weights: Weights,
    ) -> None:
        self.machine.cores.settle()
        StageForks(
            self.recipe, self.seed, store, tasks, weights, stage, config, asked, self.observer, stop=self.stop
        ).run()
        refuse_if_stopped(self.stop, f"after the forks of {stage}", self.base)

    def _claim(self, tasks: dict[str, Task]) -> RunStore:
        """Take the run folder; what an earlier process decided of machine and data holds on."""
        manifest = self._manifest(tasks)
        store = RunStore.claim(self.folder, self.recipe.for_seed(self.seed).to_yaml(), self.recipe.source, manifest)
        kept = read_manifest(self.folder, "bf16_auto")
        self.machine = replace(self.machine, bf16=kept["bf16_auto"])
        try:
            refuse_changed_data(self.folder, tasks)
        except RunFolderError:
            store.close()
            raise
        return store

    def _manifest(self, tasks: dict[str, Task]) -> dict[str, Any]:
        return run_manifest(self.recipe.name, self.seed) | {
            "dtype": self.recipe.dtype,
            "threads": self.machine.cores.settle(),
            "bf16_auto": self.machine.bf16,
            "data": {name: task.fingerprint() for name, task in tasks.items()},
            "exclusions": {name: dict(task.exclusions) for name, task in tasks.items()},
        }
