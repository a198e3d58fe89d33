"""Reinforcement learning on the task's reward, by TRL's GRPOTrainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transformers import Trainer

from interlace.callback import CouplingCallback
from interlace.errors import DataError, RecipeError
from interlace.stages.base import StageJob, common_arguments, finished, in_bf16
from interlace.tasks.base import Task


class RlStage:
    """Maximises expected reward with group-relative advantages (GRPO); `placebo` permutes the rewards (C9)."""

    default_options: Mapping[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 8, "beta": 0.0}

    def planned_steps(self, task: Task, options: Mapping[str, Any]) -> int:
        """`max_steps`, else as many as the epochs over the task's prompts take."""
        if options.get("max_steps", -1) > 0:
            return int(options["max_steps"])
        completions = len(task.train) * int(options.get("num_generations", 8)) * int(options.get("num_iterations", 1))
        batch = int(options.get("per_device_train_batch_size", 8)) * int(options.get("gradient_accumulation_steps", 1))
        return max(1, math.ceil(completions / batch * options.get("num_train_epochs", 1.0)))

    def resumable_every(self, options: Mapping[str, Any]) -> int:
        """Generation boundaries: TRL does not save the completions it has in hand."""
        accumulation = int(options.get("gradient_accumulation_steps", 1))
        reuse = int(options.get("steps_per_generation", accumulation)) * int(options.get("num_iterations", 1))
        return max(1, math.ceil(reuse / accumulation))

    def trainer(self, job: StageJob, callback: CouplingCallback) -> Trainer:
        """TRL's GRPOTrainer over the task's prompts, counting sampled tokens."""
        from datasets import Dataset
        from trl import GRPOConfig

        from interlace.stages.grpo import CountingGRPOTrainer, PlaceboGRPOTrainer

        if job.task.reward is None:
            raise DataError(f"task {job.task.name!r} must have a reward for an rl stage. It has none. Set `reward`.")
        options = {**self.default_options, "max_completion_length": _completion_limit(job.task), **job.options}
        planned = self.planned_steps(job.task, options)
        fields = {**common_arguments(job, planned), "remove_unused_columns": False, **options}
        fields |= {"max_steps": planned, "bf16": in_bf16(job)}
        arguments = GRPOConfig(**fields)
        if arguments.save_steps % self.resumable_every(options):
            raise RecipeError(
                f"save_steps must be a multiple of {self.resumable_every(options)} here, where a generation ends. "
                f"Got {arguments.save_steps}. Change save_steps."
            )
        kind = PlaceboGRPOTrainer if job.placebo else CountingGRPOTrainer
        trainer = kind(
            model=job.policy.model,
            reward_funcs=job.task.reward,
            args=arguments,
            train_dataset=Dataset.from_list(job.task.rl_rows()),
            processing_class=job.policy.tokenizer,
            callbacks=[callback],
        )
        trainer.counters = callback.counters
        if isinstance(trainer, PlaceboGRPOTrainer):
            trainer.configure_placebo(str(job.placebo), job.seed)
        return finished(trainer, job)

    def reconcile(self, trainer: Trainer, job: StageJob) -> None:
        """None: a GRPO trainer has no SFT loss of its own."""
        return


def _completion_limit(task: Task) -> int:
    """How long a completion may be where the recipe does not say: the task's own limit, else TRL's 256 tokens."""
    return task.max_response_tokens or 256
