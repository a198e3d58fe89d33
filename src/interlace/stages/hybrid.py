"""Imitation and reinforcement in one stage, mixed by a method, on TRL's GRPOTrainer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datasets import Dataset
from transformers import Trainer, TrainingArguments
from trl import GRPOConfig

from interlace.callback import CountingCallback
from interlace.errors import DataError, RecipeError
from interlace.methods import Method, Plan, build_method, method_options
from interlace.policies import Policy, refuse_long_responses
from interlace.policies.policy import independent_copy
from interlace.stages.base import StageRequest, quieted
from interlace.stages.composed_groups import EXAMPLE
from interlace.stages.expert_rows import ExpertRows
from interlace.stages.hybrid_trainer import HybridTrainer
from interlace.stages.moments_apart import MomentsApart
from interlace.stages.rl import RlStage
from interlace.stages.settled_updates import SettledUpdates
from interlace.stages.spending import Demonstrations, LengthsOf, Spending, rows_of_a_step, spent_mixing

TOKEN_MEAN = "dapo"
"""TRL's loss type that is a token mean over the global batch, whatever it is split into."""


class HybridStage(RlStage):
    """Maximises reward and imitates the expert, as its method says.

    Where the task has few demonstrations, a stream of expert responses is of these alone, and a method that answers
    prompts of its groups leaves the groups of the other prompts to RL (frontier: to the best of their completions).
    """

    def configure(self, request: StageRequest) -> TrainingArguments:
        """TRL's GRPOConfig, with the options that the method's source has under the user's own."""
        assert request.method is not None
        method, options = method_options(request.method)
        _refuse_missing_expert(request, method)
        _refuse_unscored_expert(request, method)
        asked = {**method.trl, **request.options}
        arguments = super().configure(replace(request, options=asked))
        _refuse_other_losses(request.stage, arguments)
        _refuse_shared_engine(request.stage, method, arguments)
        _refuse_processes(request.stage, method, arguments)
        _refuse_cut_groups(request.stage, method, arguments)
        if method.needs_fresh_batches:
            _refuse_shared_generations(request.stage, method, arguments, self.resumable_every(arguments))
        if options.expert_batch_size is not None:
            _refuse_expert_batch(request.stage, method, options.expert_batch_size, arguments)
        return arguments

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """Both sides, as far as the method says beforehand which updates have them."""
        assert request.method is not None and isinstance(arguments, GRPOConfig)
        method = build_method(request.method, plan_of(request, arguments))
        of_each = lengths[request.task.name], lengths[request.imitated.name]
        return spent_mixing(arguments, method, *of_each, Demonstrations.of(request.imitated))

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        """A HybridTrainer over the task's prompts, with the expert of the task that is imitated."""
        assert request.method is not None
        method = build_method(request.method, plan_of(request, arguments))
        _refuse_cut_experts(request, policy)
        start = independent_copy(policy.model) if method.reads_distributions else None
        trainer = HybridTrainer(
            model=policy.model,
            reward_funcs=request.task.reward,
            args=arguments,
            train_dataset=Dataset.from_list(
                [{**row, EXAMPLE: place} for place, row in enumerate(request.task.rl_rows())]
            ),
            processing_class=policy.tokenizer,
            callbacks=[callback],
        )
        trainer.method, trainer.start = method, start
        trainer.experts = ExpertRows.of(request, policy.tokenizer)
        trainer.counters = callback.counters
        callback.steer = method.see
        if method.expert_rows == 0 and type(method).hint is Method.hint:  # else groups are not the policy's own
            callback.listen_to(trainer, request.task)
        if method.moments_apart:
            trainer.moments = MomentsApart(method)
            trainer.add_callback(trainer.moments)
        if type(method).settle is not Method.settle:
            trainer.add_callback(SettledUpdates(method))
        return quieted(trainer)


def plan_of(request: StageRequest, arguments: TrainingArguments) -> Plan:
    """What the method knows of the stage."""
    assert isinstance(arguments, GRPOConfig) and request.method is not None
    _, options = method_options(request.method)
    completions = rows_of_a_step(arguments)
    size = int(arguments.num_generations or 1)
    return Plan(
        task=request.task.name,
        imitated=request.imitated.name,
        max_steps=arguments.max_steps,
        prompts=completions // size,
        group_size=size,
        expert_batch=options.expert_batch_size or completions,
        seed=request.seed,
        matched=request.matched,
    )


def _refuse_missing_expert(request: StageRequest, method: type[Method]) -> None:
    """Raise DataError for an imitated task without expert responses, or another one where groups need their own."""
    of_groups = method.answers_prompts or method.expert_rows > 0 or method.follows == "groups"
    if of_groups and request.imitated is not request.task:
        raise DataError(
            f"method {method.name} must imitate the task whose prompts it samples, {request.task.name!r}: the expert "
            f"answers prompts of the group. Got imitate: {request.imitated.name}. Leave imitate out."
        ).about("imitate")
    if not request.imitated.demonstrated:
        raise DataError(
            f"task {request.imitated.name!r} must have expert responses for method {method.name}. It lacks them. "
            "Set `completion`."
        ).about(_imitated_by(request))


def _imitated_by(request: StageRequest) -> str:
    """The option that says which task is imitated."""
    return "task" if request.imitate is None else "imitate"


def _refuse_expert_batch(stage: str, method: type[Method], size: int, arguments: TrainingArguments) -> None:
    """Raise RecipeError for a batch that the method does not draw, or that leaves a part of an update without a row."""
    if method.follows != "stream":
        raise RecipeError(
            f"expert_batch_size of stage {stage!r} must be left out: method {method.name} imitates what its groups "
            f"say, or nothing. Got {size}. Remove it."
        ).about("method")
    parts = arguments.gradient_accumulation_steps * arguments.world_size
    if size < parts:
        raise RecipeError(
            f"expert_batch_size of stage {stage!r} must be at least {parts}, one response for each micro-batch and "
            f"process of an update. Got {size}. Raise it."
        ).about("method")


def _refuse_unscored_expert(request: StageRequest, method: type[Method]) -> None:
    """Raise DataError for a method that reads the expert's rewards, of a task that lacks some."""
    responses = [response for example in request.imitated.train for response in example.responses]
    unscored = sum(response.reward is None for response in responses)
    if method.reads_expert_rewards and unscored:
        raise DataError(
            f"task {request.imitated.name!r} must have a reward for each expert response, which method {method.name} "
            f"reads. {unscored} of {len(responses)} have none. Give the task its reward, or choose another method."
        ).about(_imitated_by(request))


def _refuse_other_losses(stage: str, arguments: Any) -> None:
    """Raise RecipeError for settings under which the RL loss is no token mean over the global batch, or has no seam."""
    if arguments.loss_type != TOKEN_MEAN:
        raise RecipeError(
            f"loss_type of stage {stage!r} must be {TOKEN_MEAN}, TRL's token mean over the global batch, which the "
            f"imitation loss is too. Got {arguments.loss_type!r}. Leave it out."
        ).about("loss_type")
    if getattr(arguments, "use_liger_kernel", False):
        raise RecipeError(f"use_liger_kernel of stage {stage!r} must be off: it leaves no seam. Leave it out.").about(
            "use_liger_kernel"
        )


def _refuse_shared_engine(stage: str, method: type[Method], arguments: Any) -> None:
    """Raise RecipeError for vLLM under a method whose completions of a prompt are not all asked for alike."""
    if arguments.use_vllm and (method.hint is not Method.hint or method.expert_rows > 0):
        raise RecipeError(
            f"use_vllm of stage {stage!r} must be off: method {method.name} treats completions of one prompt unlike, "
            "and TRL asks vLLM for all of a prompt's at once. Leave it out."
        ).about("use_vllm")


def _refuse_processes(stage: str, method: type[Method], arguments: Any) -> None:
    """Raise RecipeError for several processes under a method that takes gradients apart. Updates can be settled: the
    gradients that they are made of are averaged by then, and every process settles alike."""
    if arguments.world_size > 1 and (method.splits_gradient or method.second_point):
        raise RecipeError(
            f"stage {stage!r} with method {method.name} must be trained by one process: it takes both losses' "
            "gradients apart, and processes average only what a backward pass leaves in the weights. Got "
            f"{arguments.world_size}. Start one, or choose another method."
        ).about("method")


def _refuse_shared_generations(stage: str, method: type[Method], arguments: Any, updates: int) -> None:
    """Raise RecipeError where a batch of generations lasts several updates, whose noise is then shared."""
    if updates == 1:
        return
    option = "num_iterations" if arguments.num_iterations > 1 else "steps_per_generation"
    raise RecipeError(
        f"{option} of stage {stage!r} must leave each update a batch of generations of its own with method "
        f"{method.name}, which tells signal from noise by what successive batches share. Got one batch for {updates} "
        "updates. Leave it out."
    ).about(option)


def _refuse_cut_groups(stage: str, method: type[Method], arguments: Any) -> None:
    """Raise RecipeError where an update is of several batches of groups, or of parts of them: what is imitated of a
    batch is shared out over whole updates."""
    lasts, parts = arguments.steps_per_generation, arguments.gradient_accumulation_steps
    if method.follows == "groups" and lasts % parts:
        raise RecipeError(
            f"steps_per_generation of stage {stage!r} must be a multiple of gradient_accumulation_steps, {parts}, with "
            f"method {method.name}, which imitates what a batch of generations says, over whole updates. Got {lasts}. "
            "Leave it out."
        ).about("steps_per_generation")


def _refuse_cut_experts(request: StageRequest, policy: Policy) -> None:
    pairs = [(e.prompt, response.text) for e in request.imitated.demonstrated for response in e.responses]
    refuse_long_responses(policy.tokenizer, pairs, policy.context_tokens)
