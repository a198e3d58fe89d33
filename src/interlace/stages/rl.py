"""Reinforcement learning on the task's reward, by TRL's GRPOTrainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from transformers import Trainer, TrainingArguments
from trl import GRPOConfig
from trl.import_utils import is_vllm_available

from interlace.callback import CountingCallback
from interlace.errors import DataError, RecipeError, unknown_name
from interlace.policies import Policy
from interlace.stages.base import StageRequest, built, common_options, quieted
from interlace.stages.completions import completion_limit
from interlace.stages.foreseen import refuse_what_fails_later
from interlace.stages.grpo import CountingGRPOTrainer, PlaceboGRPOTrainer, refuse_leaks
from interlace.stages.spending import LengthsOf, Spending, spent_reinforcing
from interlace.tasks.base import Task

DEFAULTS: Mapping[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 8, "beta": 0.0}
WORDS: Mapping[str, tuple[str, ...]] = {
    "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "importance_sampling_level": ("token", "sequence"),
    "scale_rewards": ("group", "batch", "none"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
}
"""Options that TRL takes as any text, and what it knows of each: it looks in the first update."""
LEAST: Mapping[str, int] = {"num_iterations": 1, "steps_per_generation": 1, "max_completion_length": 1, "top_k": 0}
ABOVE_0 = ("temperature", "repetition_penalty")
"""Numbers that sampling takes, which it says at the first prompt."""


class RlStage:
    """Maximises expected reward with group-relative advantages (GRPO); `placebo` empties the rewards (C9).

    With `beta` above 0 TRL reads its reference model from where the policy was loaded, which is the weights that the
    stage starts from: D6's anchors elsewhere do not occur, but where `sync_ref_model` lets the anchor follow.
    """

    def configure(self, request: StageRequest) -> TrainingArguments:
        """TRL's GRPOConfig; steps are `max_steps`, else as many as the epochs over the task's prompts take."""
        if request.task.reward is None:
            raise DataError(
                f"task {request.task.name!r} must have a reward for stage {request.stage!r}. It has none. Set `reward`."
            ).about("task")
        longest = {"max_completion_length": completion_limit(request.task, request.options)}
        options = {**DEFAULTS, **longest, **request.options}
        _refuse_numbers(request.stage, options)
        asked = built(GRPOConfig, request.stage, _fields(request, options, 1, 1))
        planned, every = _planned_steps(request.task, options, asked.world_size), _generation_steps(asked)
        arguments = built(GRPOConfig, request.stage, _fields(request, options, planned, every))
        if arguments.save_steps % every:
            raise RecipeError(
                f"save_steps of stage {request.stage!r} must be a multiple of {every}, where a generation ends. "
                f"Got {arguments.save_steps}. Change it, or leave it out."
            ).about("save_steps")
        if request.placebo in ("strict", "mirrored"):
            refuse_leaks(arguments)
        _refuse_other_rewards(request.stage, arguments)
        _refuse_idle_anchor(request.stage, arguments)
        _refuse_unknown_words(request.stage, arguments)
        _refuse_missing_engine(request.stage, arguments)
        refuse_what_fails_later(request.stage, arguments)
        return arguments

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """Completions that are sampled and trained on; with `beta` those that a reference scores."""
        assert isinstance(arguments, GRPOConfig)
        return spent_reinforcing(arguments, lengths[request.task.name])

    def resumable_every(self, arguments: TrainingArguments) -> int:
        """Generation boundaries: TRL does not save the completions it has in hand."""
        return _generation_steps(arguments)

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        """TRL's GRPOTrainer over the task's prompts, counting sampled tokens; what it samples is read too."""
        kind = PlaceboGRPOTrainer if request.placebo else CountingGRPOTrainer
        trainer = kind(
            model=policy.model,
            reward_funcs=request.task.reward,
            args=arguments,
            train_dataset=Dataset.from_list(request.task.rl_rows()),
            processing_class=policy.tokenizer,
            callbacks=[callback],
        )
        trainer.counters = callback.counters
        if isinstance(trainer, PlaceboGRPOTrainer):
            trainer.placebo_mode, trainer.placebo_seed = str(request.placebo), request.seed
        callback.listen_to(trainer, request.task)
        return quieted(trainer)

    def reconcile(self, trainer: Trainer, request: StageRequest, policy: Policy) -> dict[str, Any] | None:
        """None: a GRPO trainer has no SFT loss of its own."""
        return None


def _refuse_other_rewards(stage: str, arguments: GRPOConfig) -> None:
    """A stage has the one reward of its task."""
    weights = arguments.reward_weights
    if weights is not None and len(weights) != 1:
        raise RecipeError(
            f"reward_weights of stage {stage!r} must be one number: a task has one reward. Got {weights}. Leave it "
            "out, and weigh rewards inside the task's."
        ).about("reward_weights")


def _refuse_idle_anchor(stage: str, arguments: GRPOConfig) -> None:
    """Without a KL term there is no reference that could follow."""
    if arguments.sync_ref_model and arguments.beta == 0.0:
        raise RecipeError(
            f"sync_ref_model of stage {stage!r} must stand beside beta above 0, whose reference it moves. Got beta 0. "
            "Set beta, or leave it out."
        ).about("sync_ref_model")


def _refuse_unknown_words(stage: str, arguments: GRPOConfig) -> None:
    for option, known in WORDS.items():
        if (asked := getattr(arguments, option)) not in known:
            raise RecipeError(unknown_name(f"{option} of stage {stage!r}", asked, known)).about(option)


def _refuse_numbers(stage: str, options: Mapping[str, Any]) -> None:
    given = {option: value for option, value in options.items() if value is not None}
    broken = {option: f"at least {least}" for option, least in LEAST.items() if given.get(option, least) < least}
    broken |= {option: "above 0" for option in ABOVE_0 if given.get(option, 1.0) <= 0.0}
    broken |= {} if 0.0 <= given.get("min_p", 0.0) <= 1.0 else {"min_p": "from 0 to 1"}
    for option, rule in broken.items():
        got = given[option]
        raise RecipeError(f"{option} of stage {stage!r} must be {rule}. Got {got}. Change it.").about(option)


def _refuse_missing_engine(stage: str, arguments: GRPOConfig) -> None:
    """vLLM is a package of its own."""
    if arguments.use_vllm and not is_vllm_available():
        raise RecipeError(
            f"use_vllm of stage {stage!r} must be off where vLLM is not installed. Got true. Leave it out, or pip "
            "install trl[vllm]."
        ).about("use_vllm")


def _planned_steps(task: Task, options: Mapping[str, Any], processes: int) -> int:
    if options.get("max_steps", -1) > 0:
        return int(options["max_steps"])
    completions = len(task.train) * options["num_generations"] * options.get("num_iterations", 1)
    batch = options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1) * processes
    return max(1, math.ceil(completions / batch * options.get("num_train_epochs", 1.0)))


def _fields(request: StageRequest, options: Mapping[str, Any], planned: int, save_every: int) -> dict[str, Any]:
    fields = {**common_options(request, planned, save_every), "remove_unused_columns": False, **options}
    return fields | {"max_steps": planned, "bf16": request.bf16}


def _generation_steps(arguments: TrainingArguments) -> int:
    """Optimizer steps after which a batch of generations is used up and a new one is due."""
    uses = arguments.steps_per_generation * arguments.num_iterations
    return math.lcm(uses, arguments.gradient_accumulation_steps) // arguments.gradient_accumulation_steps
