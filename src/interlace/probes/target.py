"""MeasuredTask: a task's held-out prompts, expert responses and rewarded responses as token ids, prepared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int

from interlace.errors import DataError
from interlace.measurement import HeldOut
from interlace.policies import EncodedResponse, Policy, encode_prompt, encode_responses
from interlace.tasks.base import Example, Task


@dataclass(frozen=True)
class MeasuredTask:
    """The first `num_prompts` held-out examples of a task under one tokenizer.

    `responses` are the distinct (prompt, text) pairs whose probability is wanted; `expert` and `rewarded` point into
    them.
    """

    task: Task
    examples: tuple[Example, ...]
    prompts: tuple[tuple[int, ...], ...]
    responses: tuple[EncodedResponse, ...]
    expert: Int[np.ndarray, "response"]
    rewarded: tuple[tuple[tuple[int, float], ...], ...] | None
    heldout: HeldOut
    max_response_tokens: int

    @classmethod
    def prepare(
        cls, task: Task, policy: Policy, num_prompts: int | None = None, completion_limit: int | None = None
    ) -> MeasuredTask:
        """Encode what is measured. Raises DataError if an expert response does not fit the model's context, or none
        fits the task's `max_response_tokens`.

        `completion_limit`: the longest sampled completion, tokens; None: what the task says, else twice its longest
        expert response.
        """
        examples = task.heldout[:num_prompts]
        index: dict[tuple[int, str], int] = {}
        expert = [_entry(index, i, item.text) for i, example in enumerate(examples) for item in example.responses]
        rewarded = _rewarded(index, examples)
        pairs = [(examples[i].prompt, text) for i, text in index]
        responses = encode_responses(policy.tokenizer, pairs, policy.context_tokens)
        expert_rows = np.array(expert, dtype=np.int64)
        heldout = _heldout(task, examples, [responses[row] for row in expert_rows])
        _refuse_short_limit(task, heldout)
        return cls(
            task=task,
            examples=examples,
            prompts=tuple(tuple(encode_prompt(policy.tokenizer, example.prompt)) for example in examples),
            responses=tuple(responses),
            expert=expert_rows,
            rewarded=rewarded,
            heldout=heldout,
            max_response_tokens=completion_limit or task.max_response_tokens or _twice_the_longest(responses),
        )

    def first(self, num_prompts: int) -> MeasuredTask:
        """The same target with fewer prompts, for showing samples; the response tables are shared."""
        keep = self.heldout.prompt < num_prompts
        return replace(
            self,
            examples=self.examples[:num_prompts],
            prompts=self.prompts[:num_prompts],
            expert=self.expert[keep],
            rewarded=None,
        )

    @property
    def cut_off(self) -> str | None:
        """That the limit on completions cuts responses of the expert, in a sentence; None where all of them fit."""
        tokens = self.heldout.num_tokens
        longer = int((tokens > self.max_response_tokens).sum())
        if not longer:
            return None
        return (
            f"{longer} of {tokens.size} held-out expert responses of {self.task.name} are longer than completions may "
            f"be, {self.max_response_tokens} tokens with end-of-sequence (the longest has {tokens.max()}): completions "
            "like them are cut off. Raise max_completion_length, or the task's max_response_tokens"
        )

    @cached_property
    def best_constant(self) -> tuple[str, float] | None:
        """The response that earns most if it answers every prompt, and what it earns, reward units.

        None where the rewarded responses cannot be listed. A policy at this reward has learned how often answers occur,
        not what they depend on.
        """
        if self.rewarded is None:
            return None
        earned: dict[str, float] = {}
        for example in self.examples:
            for text, reward in example.rewarded or ():
                earned[text] = earned.get(text, 0.0) + reward
        best = max(earned, key=lambda text: earned[text], default=None)
        return None if best is None else (best, earned[best] / len(self.examples))


def _entry(index: dict[tuple[int, str], int], prompt: int, text: str) -> int:
    return index.setdefault((prompt, text), len(index))


def _rewarded(
    index: dict[tuple[int, str], int], examples: Sequence[Example]
) -> tuple[tuple[tuple[int, float], ...], ...] | None:
    """Per prompt, where each rewarded response stands and what it earns; None if they cannot be listed."""
    if any(example.rewarded is None for example in examples):
        return None
    return tuple(
        tuple((_entry(index, i, text), reward) for text, reward in example.rewarded or ())
        for i, example in enumerate(examples)
    )


def _twice_the_longest(responses: Sequence[EncodedResponse]) -> int:
    return 2 * max((len(response.response) for response in responses), default=128)


def _refuse_short_limit(task: Task, held: HeldOut) -> None:
    limit, tokens = task.max_response_tokens, held.num_tokens
    if limit is not None and tokens.size and (tokens > limit).all():
        raise DataError(
            f"task {task.name!r}: max_response_tokens must hold a response, end-of-sequence included. Got {limit}, and "
            f"all {tokens.size} held-out expert responses are longer (the longest has {tokens.max()} tokens), so every "
            f"completion like them would be cut off. Set {tokens.max()} or more, or leave it out."
        )


def _heldout(task: Task, examples: Sequence[Example], encoded: Sequence[EncodedResponse]) -> HeldOut:
    if not examples:
        raise DataError(f"task {task.name!r} must have held-out prompts. It has none. Raise `heldout`.")
    rows = [(i, item) for i, example in enumerate(examples) for item in example.responses]
    return HeldOut(
        task=task.name,
        num_prompts=len(examples),
        prompt=np.array([i for i, _ in rows], dtype=np.int64),
        probability=np.array([item.probability for _, item in rows], dtype=np.float64),
        reward=np.array([np.nan if item.reward is None else item.reward for _, item in rows], dtype=np.float64),
        num_tokens=np.array([len(item.response) for item in encoded], dtype=np.int64),
        expert_is_known=task.expert_is_known,
    )
