"""What a stage is expected to take, before it is trained: tokens, by the mean lengths of prompts and expert responses.

Completions are taken to be as long as the expert's responses. What a method makes of its groups, of hints in them, or
of what it sees on the way is not known beforehand: its spending `is_open`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
"""What a method follows where nobody knows beforehand how much it imitates."""
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
    return Spending(trained=arguments.max_steps * _rows(arguments) * tokens)


def spent_reinforcing(arguments: GRPOConfig, lengths: Lengths) -> Spending:
    """Of a stage of RL: what a batch of generations takes, as often as one is made, and what is trained on."""
    return _with_completions(arguments, lengths, arguments.max_steps, arguments.max_steps)


def spent_mixing(
    arguments: GRPOConfig, method: Method, lengths: Lengths, imitated: Lengths, responses_a_prompt: float
) -> Spending:
    """Of a stage of hybrid training: `lengths` of the task that is reinforced, `imitated` of the expert's,
    `responses_a_prompt`: how many different ones the expert has. `method` is asked, and used up."""
    weights = [method.weights(step) for step in range(arguments.max_steps)]
    reinforced = sum(each.rl != 0.0 for each in weights)
    imitating = [step for step, each in enumerate(weights) if each.sft != 0.0]
    generated = arguments.max_steps if method.follows == "groups" else reinforced
    given = method.expert_rows / method.plan.group_size, imitated.response
    rollouts = _with_completions(arguments, lengths, generated, reinforced * (1 + method.second_point), given)
    rows = _imitated_rows(method, imitating[0], responses_a_prompt) if imitating else 0.0
    tokens = len(imitating) * rows * imitated.both
    return replace(
        rollouts,
        scored=rollouts.scored + (tokens if method.reads_distributions else 0.0),
        trained=rollouts.trained + tokens,
        is_open=_is_open(method),
    )


def responses_a_prompt(task: Task) -> float:
    """How many different responses the expert has to a prompt that it answers."""
    return float(np.mean([float(len(example.responses)) for example in task.demonstrated] or [0.0]))


def _imitated_rows(method: Method, step: int, responses_a_prompt: float) -> float:
    """Responses that the update after `step` steps imitates; of groups one a prompt, or all that the expert has."""
    if method.follows == "groups":
        return method.plan.prompts * (responses_a_prompt if method.knows_expert else 1.0)
    return float(len(method.imitated(step, lambda _, count: [NO_RESPONSE] * count)))


def _is_open(method: Method) -> bool:
    """Whether what it samples or imitates depends on its groups, on hints in them, on looks, or on a stage that it is
    yet to be matched to."""
    kind = type(method)
    is_matched = getattr(method.options, "like", None) is not None
    is_hinted, is_steered = kind.hint is not Method.hint, kind.see is not Method.see
    return method.follows in OPEN or is_hinted or is_steered or is_matched


def _with_completions(
    arguments: GRPOConfig, lengths: Lengths, generated: int, trained: int, given: tuple[float, float] = (0.0, 0.0)
) -> Spending:
    """`generated`, `trained`: optimizer steps whose completions are made, and learned from; `given`: the share of them
    that are the expert's, which nobody samples, and their mean tokens."""
    rows = _rows(arguments)
    made = generated * rows / (arguments.num_iterations or 1)
    shared = arguments.num_generations if arguments.use_vllm else 1
    share, tokens = given
    response = (1.0 - share) * lengths.response + share * tokens
    return Spending(
        sampled=made * (1.0 - share) * lengths.response,
        prefilled=made * (1.0 - share) * lengths.prompt / (shared or 1),
        scored=made * (lengths.prompt + response) if arguments.beta else 0.0,
        trained=trained * rows * (lengths.prompt + response),
    )


def _rows(arguments: TrainingArguments) -> int:
    """Rows of one optimizer step over all processes."""
    return arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
