"""What a stage leaves once its steps are done: the straight line, samples, averaged weights, flags, its ledger."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Trainer

from interlace.analysis.trajectory import read_trajectory
from interlace.callback import StageCallback
from interlace.callback.looking import REMEDY
from interlace.callback.stage import COUNTERS
from interlace.estimate import Estimate, Figure
from interlace.ledger import Ledger, estimated_flops
from interlace.methods import Method
from interlace.observer import Observer
from interlace.pipeline.blending import COARSE, Line, is_blended
from interlace.pipeline.weights import Weights
from interlace.policies.averaging import AveragedWeights
from interlace.probes import MeasuredTask
from interlace.recipe import StageConfig
from interlace.stages import STAGES
from interlace.stages.spending import rows_of_a_step
from interlace.store import RunStore, read_run, seal_checkpoint
from interlace.store.checkpoints import checkpoint_step
from interlace.store.stopped import Stopped


@dataclass(frozen=True)
class Ending:
    """The last acts of a stage: all its steps are done, or its stop rule has ended it."""

    store: RunStore
    observer: Observer
    stage: str
    config: StageConfig
    callback: StageCallback
    trainer: Trainer
    weights: Weights

    @property
    def stopped(self) -> Stopped | None:
        """What ended the stage before its steps were done, if anything did."""
        return None if self.callback.stopping is None else self.callback.stopping.stopped

    @property
    def steps(self) -> int:
        """Optimizer steps that were done."""
        return int(self.trainer.state.global_step)

    @property
    def end_step(self) -> int:
        """The step whose weights the stage ends with."""
        return self.steps if self.stopped is None else self.stopped.end_step

    @property
    def folder(self) -> Path:
        """Where the stage keeps its checkpoints."""
        return self.store.stage_folder(self.stage)

    def write(self) -> None:
        """Measure and keep all of it; the stage is finished with the last line."""
        if self.end_step != self.steps:
            self._rewind()
        unmoved = self._unmoved()  # by training, before a blend
        if self.config.kind != "sft":
            self._along_the_line()
        self.callback.instruments.show(self.stage, self.end_step, self.callback.policy, self.callback.start)
        if self.callback.averaged is not None:
            self._save_averaged(self.callback.averaged)
        self._drop_other_checkpoints()
        for sentence in (*unmoved, *self._remarks()):
            self.store.event("flag", stage=self.stage, text=sentence)
            self.observer.note(f"{self.stage}: {sentence}")
        self.store.event("stage_finished", stage=self.stage, steps_done=self.steps, ledger=self._ledger().to_json())
        self.observer.stage_finished(self.stage)

    def _along_the_line(self) -> None:
        """Measure the line from start to end, and end with a place on it if the recipe says so."""
        line = Line(self.store, self.stage, self.end_step, self.callback)
        if self.config.blend is None:
            line.measure(self.config.task, COARSE)
            return
        if is_blended(self.folder / f"checkpoint-{self.end_step}"):
            line.said()
        else:
            sentence = line.blend(self.config.task, self.config.blend)
            self.store.event("flag", stage=self.stage, text=sentence)
            self.observer.note(f"{self.stage}: {sentence}")

    def _rewind(self) -> None:
        """Take up the weights that the rule goes back to, and make them the stage's last checkpoint.

        It says how many steps were trained and what they took, as the one at the stop did: a process that is killed
        after this finds the stage stopped.
        """
        kept, stop, end = (self.folder / f"{name}" for name in self._rewind_names())
        if kept.exists():
            for name in ("trainer_state.json", COUNTERS):
                shutil.copy(stop / name, kept / name)
            seal_checkpoint(kept)
            shutil.rmtree(end, ignore_errors=True)
            kept.rename(end)
        self.callback.policy.model.load_state_dict(self.weights.load(end).model.state_dict())
        if self.callback.averaged is not None:
            self.callback.averaged.load(end)
        shutil.rmtree(stop, ignore_errors=True)

    def _rewind_names(self) -> tuple[str, str, str]:
        return f"kept-{self.end_step}", f"checkpoint-{self.steps}", f"checkpoint-{self.end_step}"

    def _save_averaged(self, averaged: AveragedWeights) -> None:
        folder = self.folder / "averaged"
        averaged.model.save_pretrained(folder)
        self.callback.policy.tokenizer.save_pretrained(folder)
        seal_checkpoint(folder)

    def _drop_other_checkpoints(self) -> None:
        """A finished stage keeps its last checkpoint, unless the recipe says how many (TRL's save_total_limit); none
        after the one that it was rewound to."""
        is_limited = "save_total_limit" in self.config.options
        for folder in self.folder.glob("checkpoint-*"):
            step = checkpoint_step(folder)
            if step > self.end_step or (step < self.end_step and not is_limited):
                shutil.rmtree(folder)
        for folder in self.folder.glob("kept-*"):
            shutil.rmtree(folder)

    def _unmoved(self) -> list[str]:
        """Said of RL whose weights are those of its start."""
        if self.config.kind != "rl" or self.trainer.args.learning_rate == 0.0 or not self._nothing_moved():
            return []
        return [
            "no weight moved: in every group all completions earned the same, so there was nothing to learn from. "
            "Start from weights that earn reward now and then, or sample larger groups"
        ]

    def _remarks(self) -> list[str]:
        """On the weights that the stage ends with, blended or rewound as they may be; what its method concludes; and
        which looks are missing."""
        run, thinned = read_run(self.store.folder), self.callback.budget.num_thinned
        stage = next(item for item in run.stages if item.stage == self.stage)
        remarks = [
            constant_answer_remark(target, stage.figures_at(stage.ended_at(target.task.name)).get("reward"))
            for target in self.callback.instruments.targets
        ]
        if isinstance(method := getattr(self.trainer, "method", None), Method):
            remarks.append(method.conclude(lambda task, weights: read_trajectory(run, self.stage, task, weights)))
        if thinned:
            remarks.append(f"{thinned} scheduled measurements were left out to keep within measure.overhead. {REMEDY}")
        return [remark for remark in remarks if remark is not None]

    def _nothing_moved(self) -> bool:
        """Whether training left every weight as it was; what was taken back had moved."""
        if self.end_step != self.steps:
            return False
        start, end = self.callback.start.model.parameters(), self.callback.policy.model.parameters()
        return all(torch.equal(before, after) for before, after in zip(start, end, strict=True))

    def _ledger(self) -> Ledger:
        """What the stage spent, earlier processes included."""
        spent, batch = self.callback.totals(), rows_of_a_step(self.trainer.args)
        tokens = int(self.trainer.state.num_input_tokens_seen)
        sampled, prefilled = (int(spent.get(name, 0.0)) for name in ("tokens_sampled", "tokens_prefilled"))
        forward = tokens + int(spent.get("tokens_scored", 0.0))
        imitated = int(spent.get("expert_examples", 0.0))
        return Ledger(
            optimizer_steps=self.steps if STAGES[self.config.kind].trains else 0,
            tokens_sampled=sampled,
            tokens_prefilled=prefilled,
            tokens_forward=forward,
            tokens_backward=tokens,
            flops=estimated_flops(self.callback.policy.num_parameters(), sampled + prefilled, forward, tokens),
            expert_examples=self.steps * batch if self.config.kind == "sft" else imitated,
            train_seconds=spent["train_seconds"],
            measure_seconds=spent["measure_seconds"],
        )


def constant_answer_remark(target: MeasuredTask, reward: Figure | None) -> str | None:
    """Said of a reward that is not resolved above that of one and the same answer to every prompt; else None."""
    if target.best_constant is None or not isinstance(reward, Estimate):
        return None
    response, earned = target.best_constant
    if reward.lower > earned:
        return None
    return (
        f"reward on {target.task.name} ended at {reward}: not resolved above the {earned:.3f} that the answer "
        f"{response!r} to every prompt earns. What answers depend on has not been learned"
    )
