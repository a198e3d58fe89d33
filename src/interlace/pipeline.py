"""Runs a recipe's stages in order, a run folder a seed; typed again, the same command continues what a kill left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from interlace.callback import CouplingCallback, StopRequest
from interlace.environment import quiet_libraries, run_manifest
from interlace.errors import Interrupted, RecipeError, RunFolderError, TrainingError
from interlace.estimate import Estimate, Figure
from interlace.ledger import Ledger, estimated_flops
from interlace.measurement import LINE, RAW
from interlace.observer import Observer
from interlace.policies import Policy, configure_threads, load_policy, make_embedded, source_of
from interlace.policies.averaging import AveragedWeights
from interlace.policies.interpolation import interpolated
from interlace.policies.policy import independent_copy
from interlace.policies.precision import bfloat16_gains
from interlace.probes import PRESETS, PROBES, MeasuredTask
from interlace.probes.instruments import Instruments
from interlace.recipe import Recipe, StageConfig
from interlace.stages import load_stage
from interlace.stages.base import StageJob
from interlace.store import (
    RunStore,
    StageRecord,
    newest_complete_checkpoint,
    read_run,
    seal_checkpoint,
    verify_checkpoint,
)
from interlace.store.checkpoints import checkpoint_step
from interlace.store.run_store import read_manifest
from interlace.tasks import build_task
from interlace.tasks.base import Task

LINE_POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
EMBEDDED = "embedded"


def run_recipe(
    recipe: Recipe, out: Path | None = None, observer: Observer | None = None, fresh: bool = False
) -> list[Path]:
    """Train and measure every seed of `recipe`; the run folders, one a seed.

    Raises RunFolderError for a folder of another recipe, Interrupted after a signal once a checkpoint is saved,
    TrainingError if a stage stops short of its plan.
    """
    quiet_libraries()
    observer = observer or Observer()
    machine = MachineSettings(configure_threads(recipe.threads), bfloat16_gains())
    folders = run_folders(recipe, out, fresh)
    with StopRequest().listening() as stop:
        for seed, folder in zip(recipe.seeds, folders, strict=True):
            SeedRun(recipe, seed, folder, observer, stop, machine).finish()
    return folders


def run_folders(recipe: Recipe, out: Path | None, fresh: bool = False) -> list[Path]:
    """Where each seed's run lives: `out` (default ``runs/RECIPE``), with ``seed-N`` below it for several seeds.

    `fresh` takes the first of ``-2``, ``-3`` ... that does not exist yet.
    """
    base = out or Path("runs") / recipe.name
    if fresh and base.exists():
        base = next(path for n in range(2, 10_000) if not (path := base.with_name(f"{base.name}-{n}")).exists())
    return [base] if len(recipe.seeds) == 1 else [base / f"seed-{seed}" for seed in recipe.seeds]


@dataclass(frozen=True)
class MachineSettings:
    """What the recipe leaves to the machine: torch's threads, and what `bf16: auto` stands for."""

    threads: int
    bf16: bool


@dataclass
class SeedRun:
    """One seed of a recipe in its run folder."""

    recipe: Recipe
    seed: int
    folder: Path
    observer: Observer
    stop: StopRequest
    machine: MachineSettings

    def finish(self) -> None:
        """Do every stage that is not done yet."""
        tasks = {name: build_task(name, config, self.seed) for name, config in self.recipe.tasks.items()}
        store = self._claim(tasks)
        try:
            self.observer.run_started(str(self.folder), self.seed)
            done = {item.stage for item in read_run(self.folder).stages if item.finished}
            for stage, config in stage_folders(self.recipe):
                if stage not in done:
                    StageRun(self, store, tasks, stage, config).finish()
        finally:
            store.close()

    def _claim(self, tasks: dict[str, Task]) -> RunStore:
        manifest = run_manifest(self.recipe.name, self.seed)
        manifest |= {"dtype": self.recipe.dtype, "threads": self.machine.threads, "bf16_auto": self.machine.bf16}
        manifest["data"] = {name: task.fingerprint() for name, task in tasks.items()}
        manifest["exclusions"] = {name: dict(task.exclusions) for name, task in tasks.items()}
        store = RunStore.claim(self.folder, self.recipe.for_seed(self.seed).to_yaml(), self.recipe.source, manifest)
        kept = read_manifest(self.folder)
        self.machine = replace(self.machine, bf16=kept["bf16_auto"])
        if kept["data"] != manifest["data"] or kept["seed"] != self.seed:
            store.close()
            raise RunFolderError(
                f"{self.folder} must be continued with the data and seed it was begun with. "
                f"They have changed since. Restore the data, or choose another --out."
            )
        return store

    def initial_source(self, tasks: dict[str, Task]) -> str:
        """Where the recipe's own model is loaded from; the embedded one is made in the run folder."""
        if self.recipe.model != EMBEDDED:
            return source_of(self.recipe.model)
        folder = self.folder / "stages" / "00-model"
        if verify_checkpoint(folder) is not None:
            alphabet = "".join(task.alphabet for task in tasks.values())
            make_embedded(folder, alphabet, self.seed, self.recipe.model_options)
            seal_checkpoint(folder)
        return str(folder)


@dataclass
class StageRun:
    """One stage of one seed: from its start policy to its sealed last checkpoint."""

    run: SeedRun
    store: RunStore
    tasks: dict[str, Task]
    stage: str
    config: StageConfig

    def finish(self) -> None:
        """Train the stage from where it stands, measure its end, and mark it finished."""
        kind = load_stage(self.config.kind)
        folder = self.store.stage_folder(self.stage)
        checkpoint, skipped = newest_complete_checkpoint(folder)
        options = {**kind.default_options, **self.config.options}
        planned = kind.planned_steps(self.tasks[self.config.task], options)
        already = checkpoint_step(checkpoint) if checkpoint else 0
        self._announce(planned, already, checkpoint, skipped)

        start = self._load(self._start_source())
        policy = start.with_model(independent_copy(start.model))
        callback = self._callback(policy, start, options)
        if checkpoint is not None:
            callback.restore(checkpoint, already)
        job = self._job(policy, folder)
        trainer = kind.trainer(job, callback)
        if checkpoint is None:
            self._reconcile(kind.reconcile(trainer, job))
        if already < planned:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            self._check_reached(trainer.state.global_step, planned)
        else:
            self._load_weights(policy, folder / f"checkpoint-{planned}")
        self._close(callback, start, policy, planned, trainer)

    def _announce(self, planned: int, already: int, checkpoint: Path | None, skipped: Sequence[str]) -> None:
        resumed_from = already if checkpoint else -1
        self.store.event(
            "stage_started",
            stage=self.stage,
            name=self.config.name,
            stage_kind=self.config.kind,
            task=self.config.task,
            steps_planned=planned,
            resumed_from=resumed_from,
            options=self.config.model_dump(mode="json")[self.config.kind],
        )
        self.run.observer.stage_started(self.stage, self.config.name, self.config.kind, planned, already)
        for reason in skipped:
            self._flag(f"a checkpoint was skipped: {reason}")
        if checkpoint is not None:
            self._flag(f"continued from {checkpoint.name} after an earlier process ended there or later")

    def _flag(self, text: str) -> None:
        self.store.event("flag", stage=self.stage, text=text)
        self.run.observer.note(f"{self.stage}: {text}")

    def _load(self, source: str) -> Policy:
        bf16 = self.config.options.get("bf16", False)
        in_bf16 = self.run.machine.bf16 if bf16 == "auto" else bf16
        return load_policy(source, self.run.recipe.dtype, torch.bfloat16 if in_bf16 else None)

    def _start_source(self) -> str:
        """The folder that the stage starts from, by its `start_from`."""
        stages = stage_folders(self.run.recipe)
        position = [stage for stage, _ in stages].index(self.stage)
        start_from = self.config.start_from
        if start_from == "model" or (position == 0 and start_from == "raw"):
            return self.run.initial_source(self.tasks)
        earlier = {config.name: stage for stage, config in stages[:position]}
        previous = stages[position - 1][0] if start_from in ("raw", "averaged") else earlier[start_from]
        folder = self.store.stage_folder(previous)
        return str(folder / "averaged" if start_from == "averaged" else self._last_checkpoint(previous))

    def _last_checkpoint(self, stage: str) -> Path:
        checkpoint, skipped = newest_complete_checkpoint(self.store.stage_folder(stage))
        if checkpoint is None or skipped:
            raise RunFolderError(
                f"{self.stage} must start from the last checkpoint of {stage}. It is damaged: {'; '.join(skipped)}. "
                "Restore it, or start again with --fresh."
            )
        return checkpoint

    def _callback(self, policy: Policy, start: Policy, options: dict[str, Any]) -> CouplingCallback:
        recipe = self.run.recipe
        targets = [MeasuredTask.prepare(task, start, recipe.measure.prompts) for task in self.tasks.values()]
        for target in targets:
            self.store.heldout(target.heldout)
        probes = [PROBES[name] for name in PRESETS[recipe.measure.preset]]
        observer, completions = self.run.observer, recipe.measure.completions
        instruments = Instruments(self.store, observer, targets, probes, completions, self.run.seed)
        decay = self.config.averaged_weights
        return CouplingCallback(
            stage=self.stage,
            instruments=instruments,
            policy=policy,
            start=start,
            every=self.config.measure_every or recipe.measure.every,
            overhead=recipe.measure.overhead,
            averaged=AveragedWeights(policy.model, decay.decay) if decay else None,
            stop=self.run.stop,
            save_at=load_stage(self.config.kind).resumable_every(options),
        )

    def _job(self, policy: Policy, folder: Path) -> StageJob:
        previous = None
        if not self.config.fresh_optimizer:
            previous = Path(self._start_source())
            if not (previous / "optimizer.pt").exists():
                raise RecipeError(
                    f"stage {self.config.name!r} with fresh_optimizer: false must start from a checkpoint of a stage. "
                    f"{previous} holds no optimizer state. Start from a stage's raw weights, or drop the option."
                )
        task = self.tasks[self.config.task]
        return StageJob(
            self.stage, task, policy, self.config.options, folder, self.run.seed, self.config.placebo, previous
        )

    def _reconcile(self, reconciliation: dict[str, Any] | None) -> None:
        if reconciliation is None:
            return
        self.store.event("reconciliation", stage=self.stage, **reconciliation)
        if not reconciliation["agrees"]:
            self._flag(
                f"our SFT loss, {reconciliation['ours']:.4f} nats/token, and the trainer's, "
                f"{reconciliation['trainers']:.4f}, differ by more than {reconciliation['tolerance']:g}: "
                "one of them reads another template, mask or dtype"
            )

    def _check_reached(self, reached: int, planned: int) -> None:
        """Nothing counts as done that stopped short."""
        number = self.run.stop.signal_number
        if reached >= planned:
            return
        if number is not None:
            raise Interrupted(
                f"stopped at step {reached} of {planned} in {self.stage}; a checkpoint is saved in {self.run.folder}. "
                "Run the same command again to continue.",
                exit_code=128 + number,
            )
        raise TrainingError(
            f"stage {self.stage} must do {planned} optimizer steps. It did {reached}. "
            "Look at the trainer's messages above; nothing after this stage was started."
        )

    def _load_weights(self, policy: Policy, checkpoint: Path) -> None:
        policy.model.load_state_dict(self._load(str(checkpoint)).model.state_dict())

    def _close(self, callback: CouplingCallback, start: Policy, policy: Policy, planned: int, trainer: Any) -> None:
        """Everything that a stage leaves once its steps are done."""
        instruments = callback.instruments
        if self.config.kind == "rl":
            for position in LINE_POSITIONS:
                between = start.with_model(interpolated(start.model, policy.model, position))
                instruments.look(self.stage, planned, between, start, LINE, position)
        instruments.show(self.stage, planned, policy, start)
        if callback.averaged is not None:
            self._save_averaged(callback.averaged, policy)
        if callback.num_thinned:
            self._flag(f"{callback.num_thinned} scheduled measurements were left out to keep within measure.overhead")
        for target in instruments.targets:
            self._say_if_constant(target, instruments.latest.get((target.task.name, RAW), {}).get("reward"))
        ledger = _ledger(callback, policy, trainer, planned)
        self.store.event("stage_finished", stage=self.stage, steps_done=planned, ledger=ledger.to_json())
        self.run.observer.stage_finished(self.stage)

    def _say_if_constant(self, target: MeasuredTask, reward: Figure | None) -> None:
        """Flag a reward that is not resolved above that of one and the same answer to every prompt."""
        if target.best_constant is None or not isinstance(reward, Estimate):
            return
        response, earned = target.best_constant
        if reward.lower <= earned:
            self._flag(
                f"reward on {target.task.name} ended at {reward}: not resolved above the {earned:.3f} that the answer "
                f"{response!r} to every prompt earns. What answers depend on has not been learned"
            )

    def _save_averaged(self, averaged: AveragedWeights, policy: Policy) -> None:
        folder = self.store.stage_folder(self.stage) / "averaged"
        averaged.model.save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)
        seal_checkpoint(folder)


def stage_folders(recipe: Recipe) -> list[tuple[str, StageConfig]]:
    """The stages with their folder names: ``01-sft``, ``02-rl`` ..."""
    return [(f"{number:02d}-{config.name}", config) for number, config in enumerate(recipe.stages, start=1)]


def unfinished(stages: Sequence[StageRecord]) -> list[str]:
    """Stages that were begun and not finished."""
    return [item.stage for item in stages if not item.finished]


def _ledger(callback: CouplingCallback, policy: Policy, trainer: Any, steps: int) -> Ledger:
    """What the stage spent, earlier processes included."""
    spent = callback.spent()
    tokens, sampled = int(trainer.state.num_input_tokens_seen), int(spent.get("tokens_sampled", 0))
    arguments = trainer.args
    examples = steps * arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    return Ledger(
        optimizer_steps=steps,
        tokens_sampled=sampled,
        tokens_forward=tokens,
        tokens_backward=tokens,
        flops=estimated_flops(policy.num_parameters(), sampled, tokens, tokens),
        expert_examples=0 if sampled else examples,
        train_seconds=spent["train_seconds"],
        measure_seconds=spent["measure_seconds"],
    )
