"""One stage of one seed: from its start policy to its sealed last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerState

from interlace.callback import CouplingCallback, StopRequest
from interlace.errors import Interrupted, TrainingError
from interlace.observer import Observer
from interlace.pipeline.ending import Ending
from interlace.pipeline.weights import Weights
from interlace.policies import Policy
from interlace.policies.averaging import AveragedWeights
from interlace.policies.policy import independent_copy
from interlace.probes import PRESETS, PROBES, MeasuredTask
from interlace.probes.instruments import Instruments
from interlace.recipe import Recipe, StageConfig
from interlace.stages import load_stage
from interlace.stages.base import StageJob
from interlace.store import RunStore, newest_complete_checkpoint
from interlace.store.checkpoints import checkpoint_step
from interlace.tasks.base import Task


@dataclass
class StageRun:
    """Trains a stage from where it stands, with the coupling callback attached."""

    recipe: Recipe
    seed: int
    store: RunStore
    observer: Observer
    stop: StopRequest
    tasks: dict[str, Task]
    weights: Weights
    stage: str
    config: StageConfig

    def finish(self) -> None:
        """Train what is left of the stage, measure its end, and mark it finished."""
        kind, folder = load_stage(self.config.kind), self.store.stage_folder(self.stage)
        checkpoint, skipped = newest_complete_checkpoint(folder)
        already = checkpoint_step(checkpoint) if checkpoint else 0
        planned = kind.planned_steps(self.tasks[self.config.task], {**kind.default_options, **self.config.options})
        self._announce(planned, already, checkpoint, skipped)

        start = self.weights.load(self.weights.start_of(self.config), self.config)
        policy = start.with_model(independent_copy(start.model))
        callback = self._callback(policy, start)
        if checkpoint is not None:
            callback.restore(checkpoint, already)
        job = self._job(policy)
        trainer = kind.trainer(job, callback)
        if checkpoint is None:
            self._reconcile(kind.reconcile(trainer, job))
        self._train(trainer, policy, checkpoint, already, planned)
        Ending(self.store, self.observer, self.stage, self.config, callback, trainer, planned).write()

    def _announce(self, planned: int, already: int, checkpoint: Path | None, skipped: Sequence[str]) -> None:
        self.store.event(
            "stage_started",
            stage=self.stage,
            name=self.config.name,
            stage_kind=self.config.kind,
            task=self.config.task,
            steps_planned=planned,
            resumed_from=already if checkpoint else -1,
            options=self.config.to_options(),
        )
        self.observer.stage_started(self.stage, self.config.name, self.config.kind, planned, already)
        for reason in skipped:
            self._flag(f"a checkpoint was skipped: {reason}")
        if checkpoint is not None:
            self._flag(f"continued from {checkpoint.name} after an earlier process ended there or later")

    def _flag(self, text: str) -> None:
        self.store.event("flag", stage=self.stage, text=text)
        self.observer.note(f"{self.stage}: {text}")

    def _callback(self, policy: Policy, start: Policy) -> CouplingCallback:
        kind, measure = load_stage(self.config.kind), self.recipe.measure
        targets = [MeasuredTask.prepare(task, start, measure.prompts) for task in self.tasks.values()]
        for target in targets:
            self.store.heldout(target.heldout)
        probes = [PROBES[name] for name in PRESETS[measure.preset]]
        average = self.config.averaged_weights
        return CouplingCallback(
            stage=self.stage,
            instruments=Instruments(self.store, self.observer, targets, probes, measure.completions, self.seed),
            policy=policy,
            start=start,
            every=self.config.measure_every or measure.every,
            overhead=measure.overhead,
            averaged=AveragedWeights(policy.model, average.decay) if average else None,
            stop=self.stop,
            save_at=kind.resumable_every({**kind.default_options, **self.config.options}),
        )

    def _job(self, policy: Policy) -> StageJob:
        return StageJob(
            stage=self.stage,
            task=self.tasks[self.config.task],
            policy=policy,
            options=self.config.options,
            folder=self.store.stage_folder(self.stage),
            seed=self.seed,
            placebo=self.config.placebo,
            optimizer_from=self.weights.optimizer_of(self.config),
        )

    def _reconcile(self, found: Mapping[str, Any] | None) -> None:
        """Keep the trainer's own loss beside ours; a disagreement is said, not mended."""
        if found is None:
            return
        self.store.event("reconciliation", stage=self.stage, **found)
        if not found["agrees"]:
            self._flag(
                f"our SFT loss, {found['ours']:.4f} nats/token, and the trainer's, {found['trainers']:.4f}, "
                f"differ by more than {found['tolerance']:g}: one of them reads another template, mask or dtype"
            )

    def _train(self, trainer: Trainer, policy: Policy, checkpoint: Path | None, already: int, planned: int) -> None:
        """Do the steps that are left; a stage whose last checkpoint is whole only has its end still to measure."""
        if checkpoint is not None and already >= planned:
            policy.model.load_state_dict(self.weights.load(checkpoint, self.config).model.state_dict())
            trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
            return
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        reached = trainer.state.global_step
        if reached < planned:
            refuse_if_stopped(self.stop, f"at step {reached} of {planned} in {self.stage}", self.store.folder)
            raise TrainingError(
                f"stage {self.stage} must do {planned} optimizer steps. It did {reached}. "
                "Look at the trainer's messages above; nothing after this stage was started."
            )
        _refuse_broken_weights(policy, self.stage)


def refuse_if_stopped(stop: StopRequest, where: str, folder: Path) -> None:
    """Raise Interrupted if a signal asked the run to stop; what was trained is saved by then."""
    if stop.signal_number is not None:
        raise Interrupted(
            f"stopped {where}; all of it is saved in {folder}. Run the same command again to continue.",
            exit_code=128 + stop.signal_number,
        )


def _refuse_broken_weights(policy: Policy, stage: str) -> None:
    """Raise TrainingError if training left weights that are not finite."""
    broken = [name for name, weight in policy.model.named_parameters() if not torch.isfinite(weight).all()]
    if broken:
        raise TrainingError(
            f"stage {stage} must end with finite weights. {len(broken)} of its parameters are not, {broken[0]} first. "
            "Lower its learning rate or set max_grad_norm, and start again with --fresh."
        )
