"""One stage of one seed: from its start policy to its sealed last checkpoint."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerState, TrainingArguments

from interlace.callback import StageCallback, Stopping, StopRequest, stage_watch
from interlace.callback.foreseeing import Foreseeing
from interlace.controllers import build_rule
from interlace.errors import Interrupted, TrainingError
from interlace.flags import FlagWatch
from interlace.flags.watch import planned_looks
from interlace.forecasting import Foresight, KlTerm
from interlace.observer import Observer
from interlace.pipeline.diverging import Diverged, noticing_divergence
from interlace.pipeline.ending import Ending
from interlace.pipeline.matching import matched_share
from interlace.pipeline.requests import stage_request
from interlace.pipeline.targets import prepared_targets
from interlace.pipeline.weights import Weights
from interlace.policies import Policy, refuse_other_vocabulary, source_of
from interlace.policies.averaging import AveragedWeights
from interlace.policies.policy import independent_copy
from interlace.probes import probes_of
from interlace.probes.instruments import Instruments
from interlace.recipe import Recipe, StageConfig
from interlace.stages import STAGES, load_stage
from interlace.stages.base import Stage, StageRequest, take_over_optimizer
from interlace.store import RunStore, newest_complete_checkpoint, read_run
from interlace.store.checkpoints import steps_trained
from interlace.store.record import DIVERGED as DIVERGED_EVENT
from interlace.store.stopped import Stopped
from interlace.tasks.base import Task
from interlace.theory.paths import PathOptions


@dataclass
class StageRun:
    """Trains a stage from where it stands, with the coupling callback attached."""

    recipe: Recipe
    seed: int
    store: RunStore
    base: Path
    observer: Observer
    stop: StopRequest
    tasks: dict[str, Task]
    weights: Weights
    stage: str
    config: StageConfig

    def finish(self) -> bool:
        """Train what is left of the stage, measure its end, and mark it finished; false of one that diverges, which has
        no end."""
        kind, request = load_stage(self.config.kind), self._request()
        arguments = kind.configure(request)
        checkpoint, skipped = newest_complete_checkpoint(request.folder)
        already = steps_trained(checkpoint) if checkpoint else 0
        stopped = self._recorded_stop(already)
        self._announce(arguments.max_steps, already, checkpoint, skipped)
        if request.matched is not None:
            self._flag(f"share of imitation {request.matched:.4g}, the mean of the stage that it is like")

        start = self.weights.load(self.weights.start_of(self.config))
        policy = start.with_model(independent_copy(start.model))
        callback = self._callback(policy, start, kind.resumable_every(arguments))
        if STAGES[self.config.kind].trains:
            callback.watch = self._watch(callback.every, arguments.max_steps, already)
        callback.stopping = self._stopping(callback, arguments.max_steps, already)
        callback.foreseeing = self._foreseeing(callback, arguments, already if checkpoint else -1)
        if callback.stopping is not None:
            callback.stopping.stopped = stopped
        if checkpoint is not None:
            callback.restore(checkpoint, already)
        trainer = kind.trainer(request, arguments, policy, callback)
        if checkpoint is None:
            self._begin(kind, trainer, request, policy)
        try:
            self._train(trainer, callback, checkpoint, already, arguments.max_steps)
        except Diverged as found:
            self.store.event(DIVERGED_EVENT, stage=self.stage, step=found.step)
            self._flag(str(found))
            return False
        Ending(self.store, self.observer, self.stage, self.config, callback, trainer, self.weights).write()
        return True

    def _request(self) -> StageRequest:
        bf16 = self.weights.in_bf16(self.config)
        request = stage_request(self.stage, self.config, self.tasks, self.store.folder, self.seed, bf16)
        matched = matched_share(self.config, self.store.folder)
        return replace(request, ends=self.weights.ends_of(self.config), matched=matched)

    def _begin(self, kind: Stage, trainer: Trainer, request: StageRequest, policy: Policy) -> None:
        """What is done once at a stage's start: the optimizer taken over, the two losses reconciled."""
        taken_over = self.weights.optimizer_of(self.config)
        if taken_over is not None:
            take_over_optimizer(trainer, taken_over)
        self._reconcile(kind.reconcile(trainer, request, policy))

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
            bf16=self.weights.in_bf16(self.config),  # what `auto` came to on this machine
        )
        self.observer.stage_started(self.stage, self.config.name, self.config.kind, planned, already)
        for reason in skipped:
            self._flag(f"a checkpoint was skipped: {reason}")
        if checkpoint is not None:
            self._flag(f"continued from {checkpoint.name} after an earlier process ended there or later")

    def _flag(self, text: str) -> None:
        self.store.event("flag", stage=self.stage, text=text)
        self.observer.note(f"{self.stage}: {text}")

    def _callback(self, policy: Policy, start: Policy, save_at: int) -> StageCallback:
        measure, average = self.recipe.measure, self.config.averaged_weights
        targets = prepared_targets(self.recipe, self.tasks, start)
        for target in targets:
            self.store.heldout(target.heldout)
            if target.cut_off is not None:
                self.observer.note(target.cut_off)
        expert = self._expert_policy(policy)
        probes = probes_of(measure.preset, with_expert=expert is not None)
        instruments = Instruments(
            self.store, self.observer, targets, probes, measure.completions, self.seed, expert=expert
        )
        return StageCallback(
            stage=self.stage,
            instruments=instruments,
            policy=policy,
            start=start,
            every=self.config.measure_every or measure.every,
            overhead=measure.overhead,
            averaged=AveragedWeights(policy.model, average.decay) if average else None,
            stop=self.stop,
            save_at=save_at,
        )

    def _expert_policy(self, policy: Policy) -> Policy | None:
        """The expert-SFT policy that the recipe names."""
        named = self.recipe.measure.expert_policy
        if named is None:
            return None
        expert = self.weights.load(source_of(named))
        refuse_other_vocabulary(policy, expert, "measure.expert_policy")
        return expert

    def _watch(self, every: int, max_steps: int, already: int) -> FlagWatch:
        """Flags before damage; a placebo's rewards say nothing of the task, and its stage is watched as any other."""
        return stage_watch(self.store, self.stage, self.config.kind, list(self.tasks), max_steps, every, already)

    def _recorded_stop(self, already: int) -> Stopped | None:
        """The stop that an earlier process recorded, if its checkpoint is there: what was stopped is not continued."""
        earlier = next((item for item in read_run(self.store.folder).stages if item.stage == self.stage), None)
        stopped = earlier.stopped if earlier is not None else None
        return stopped if stopped is not None and stopped.step == already else None

    def _stopping(self, callback: StageCallback, max_steps: int, already: int) -> Stopping | None:
        """The stage's stop rule, with the state that it had after `already` steps."""
        if self.config.stop is None:
            return None
        assert callback.watch is not None
        rule = build_rule(self.config.stop, planned_looks(max_steps, callback.every))
        targets = callback.instruments.targets
        held = next(target.heldout for target in targets if target.task.name == self.config.task)
        say = self.observer.note
        return Stopping.begin(rule, held, self.stage, self.store, callback.watch.start_of, say, already)

    def _foreseeing(self, callback: StageCallback, arguments: TrainingArguments, already: int) -> Foreseeing | None:
        """Forecasts of an RL stage by itself; of a placebo the laws have nothing to say."""
        if self.config.kind != "rl" or self.config.placebo is not None:
            return None
        assert callback.watch is not None
        foresight = Foresight(
            stage=self.stage,
            task=self.config.task,
            held={
                target.task.name: target.heldout
                for target in callback.instruments.targets
                if target.task.name in self.tasks
            },
            start_of=callback.watch.start_of,
            max_steps=arguments.max_steps,
            options=PathOptions(group_size=getattr(arguments, "num_generations", 8)),
            seed=self.seed,
            decay=self.config.averaged_weights.decay if self.config.averaged_weights else None,
            exchange_rate=(self.config.stop or {}).get("exchange_rate"),
            kl_term=KlTerm.of_arguments(arguments),
        )
        return Foreseeing(self.store, foresight, self.observer.note, already)

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

    def _train(
        self, trainer: Trainer, callback: StageCallback, checkpoint: Path | None, already: int, planned: int
    ) -> None:
        """Do the steps that are left; a stage that was stopped, or whose last checkpoint is whole, only has its end
        still to measure."""
        policy = callback.policy
        if checkpoint is not None and (already >= planned or callback.is_stopped):
            policy.model.load_state_dict(self.weights.load(checkpoint).model.state_dict())
            trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
            if (recall := getattr(trainer, "recall_method", None)) is not None:
                recall(checkpoint)
            return
        with noticing_divergence(trainer, policy.model):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        reached = trainer.state.global_step
        if reached < planned and not callback.is_stopped:
            refuse_if_stopped(self.stop, f"at step {reached} of {planned} in {self.stage}", self.base)
            raise TrainingError(
                f"stage {self.stage} must do {planned} optimizer steps. It did {reached}. "
                "Look at the trainer's messages above; nothing after this stage was started."
            )


def refuse_if_stopped(stop: StopRequest, where: str, base: Path) -> None:
    """Raise Interrupted if a signal asked the run to stop; what was trained is saved by then."""
    if stop.signal_number is not None:
        out = shlex.quote(str(base))
        raise Interrupted(
            f"stopped {where}; all of it is saved. Run the same command again with --out {out} to continue.",
            exit_code=128 + stop.signal_number,
        )
