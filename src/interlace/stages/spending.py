"""What a stage is expected to take, before it is trained: tokens, by the mean lengths of prompts and expert responses.

Completions are taken to be as long as the expert's responses. What a method makes of its groups, of hints in them, or
of what it sees on the way is not known beforehand: its spending `is_open`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from transformers import TrainingArguments
from trl import GRPOConfig

from interlace.ledger import estimated_flops
from interlace.methods import Method
from interlace.policies import EncodedResponse
from interlace.tasks.base import Task

OPEN = ("groups", "kept")
"""What a method follows where nobody knows beforehand how much it imitates: it says what is to be expected."""
NO_RESPONSE = EncodedResponse((), (), 0)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of a task's prompts, and of its expert's responses, end-of-sequence included."""

    prompt: float
    response: float

    @property
    def both(self) -> float:
        """Tokens of a prompt and a response to it."""
        return self.prompt + self.response


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """What the expert gives of a task: how many different `responses` to a prompt that it answers, and the share of
    the prompts that it answers."""

    responses: float
    answered: float

    @classmethod
    def of(cls, task: Task) -> Demonstrations:
        """Of its training prompts."""
        responses = [float(len(example.responses)) for example in task.demonstrated]
        return cls(float(np.mean(responses or [0.0])), len(responses) / len(task.train))


LengthsOf: TypeAlias = Mapping[str, Lengths]
"""By the name of a task."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens over all processes: `sampled`, read as their prompts (`prefilled`), passed forward alone (`scored`),
    trained on. `is_open`: it depends on what training will see."""

    sampled: float = 0.0
    prefilled: float = 0.0
    scored: float = 0.0
    trained: float = 0.0
    is_open: bool = False

    @property
    def flops_per_parameter(self) -> float:
        """As a ledger counts them (2 a token forward, 4 backward)."""
        generated = round(self.sampled + self.prefilled)
        return estimated_flops(1, generated, round(self.trained + self.scored), round(self.trained))


def spent_imitating(arguments: TrainingArguments, mixed: Sequence[tuple[Lengths, float]]) -> Spending:
    """Of a stage of SFT; `mixed`: of each task, its lengths and its share of the rows."""
    tokens = sum(lengths.both * share for lengths, share in mixed)
    return Spending(trained=arguments.max_steps * rows_of_a_step(arguments) * tokens)


def spent_reinforcing(arguments: GRPOConfig, lengths: Lengths) -> Spending:
    """Of a stage of RL: what a batch of generations takes, as often as one is made, and what is trained on."""
    return _with_completions(arguments, lengths, range(arguments.max_steps), arguments.max_steps)


def spent_mixing(
    arguments: GRPOConfig, method: Method, lengths: Lengths, imitated: Lengths, given: Demonstrations
) -> Spending:
    """Of a stage of hybrid training: `lengths` of the task that is reinforced, `imitated` of the expert's, which gives
    `given`. `method` is asked, and used up."""
    weights = [method.weights(step) for step in range(arguments.max_steps)]
    reinforced = [step for step, each in enumerate(weights) if each.rl != 0.0]
    imitating = [step for step, each in enumerate(weights) if each.sft != 0.0]
    generating = range(arguments.max_steps) if method.follows == "groups" else reinforced
    inside = given.answered * method.expert_rows / method.plan.group_size, imitated.response
    rollouts = _with_completions(arguments, lengths, generating, len(reinforced) * (1 + method.second_point), inside)
    tokens = _imitated_rows(method, imitating, given) * imitated.both
    return replace(
        rollouts,
        scored=rollouts.scored + (tokens if method.reads_distributions else 0.0),
        trained=rollouts.trained + tokens,
        is_open=_is_open(method, given),
    )


def _imitated_rows(method: Method, imitating: Sequence[int], given: Demonstrations) -> float:
    """Responses that are imitated in all; what is kept of groups, whenever that is."""
    if method.follows in OPEN:
        updates = method.plan.max_steps if method.follows == "kept" else len(imitating)
        return updates * method.expected_rows(given.responses, given.answered)
    if not imitating:
        return 0.0
    return float(len(imitating) * len(method.imitated(imitating[0], lambda _, count: [NO_RESPONSE] * count)))


def _is_open(method: Method, given: Demonstrations) -> bool:
    """Whether what it samples or imitates depends on its groups, on hints in them, on which of their prompts the expert
    answers, on looks, or on a stage that it is yet to be matched to."""
    kind = type(method)
    is_matched = getattr(method.options, "like", None) is not None
    is_hinted, is_steered = kind.hint is not Method.hint, kind.see is not Method.see
    is_drawn = method.expert_rows > 0 and given.answered < 1.0
    return method.follows in OPEN or is_hinted or is_steered or is_matched or is_drawn


def _with_completions(
    arguments: GRPOConfig,
    lengths: Lengths,
    generating: Iterable[int],
    trained: int,
    inside: tuple[float, float] = (0.0, 0.0),
) -> Spending:
    """`generating`: the optimizer steps whose completions are made; `trained`: how many learn from them; `inside`: the
    share of completions that are the expert's, which nobody samples, and their mean tokens."""
    made, size = _generated_rows(arguments, generating), arguments.num_generations if arguments.use_vllm else 1
    share, tokens = inside
    response = (1.0 - share) * lengths.response + share * tokens
    return Spending(
        sampled=made * (1.0 - share) * lengths.response,
        prefilled=made * (1.0 - share) * lengths.prompt / (size or 1),
        scored=_times_scored(arguments) * made * (lengths.prompt + response),
        trained=trained * rows_of_a_step(arguments) * (lengths.prompt + response),
    )


def _generated_rows(arguments: GRPOConfig, steps: Iterable[int]) -> int:
    """Rows of the batches that these steps need: a batch lasts several parts of updates (of gradient accumulation), is
    made whole at the first that asks for one, and for those of its steps alone."""
    parts, span = arguments.gradient_accumulation_steps, _span(arguments)
    batches = {(step * parts + part) // span for step in steps for part in range(parts)}
    of_each = arguments.per_device_train_batch_size * arguments.steps_per_generation * arguments.world_size
    return len(batches) * of_each


def _span(arguments: GRPOConfig) -> int:
    """Parts of updates that a batch of generations lasts."""
    return int(arguments.steps_per_generation * arguments.num_iterations)


def _times_scored(arguments: GRPOConfig) -> int:
    """By how many models: a reference, and the policy that sampled, where weights move before a batch is used up or
    where another engine sampled."""
    moves = arguments.gradient_accumulation_steps % _span(arguments) != 0
    corrects = arguments.use_vllm and arguments.vllm_importance_sampling_correction
    return int(arguments.beta != 0.0) + int(moves or corrects)


def rows_of_a_step(arguments: TrainingArguments) -> int:
    """Rows of one optimizer step over all processes."""
    return arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
