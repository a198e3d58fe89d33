"""Task: prompts, the expert's responses to them, and a reward. What a stage trains on and a probe measures on."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from interlace.errors import DataError
from interlace.rewards import Reward, RewardFunction, build_reward, checked
from interlace.tasks.example import Example, ExpertResponse, Prompt, completion_for, for_trainer, prompt_key
from interlace.tasks.records import records_of
from interlace.tasks.rows import Row, build_examples, row_of, split_rows

__all__ = ["Example", "ExpertResponse", "Prompt", "RewardFunction", "Task"]

IN_HELDOUT = "prompt is held out"
"""The name under which rows are counted that were dropped because rows of their own are measured on."""


@dataclass(frozen=True, repr=False)
class Task:
    """Prompts, the expert's responses to them, and a reward; either of the last two may be missing.

    `train` and `heldout` share no prompt, and neither is empty. `expert_is_known`: the held-out examples hold the
    expert's true distribution, not frequencies in a data set. `fresh_draws`: the training examples do too, so that
    every SFT row draws its response anew. Training examples without responses are for RL alone; where some have them,
    these are what is imitated. `max_response_tokens`: the longest response, end-of-sequence included, where
    the task knows it. `exclusions`: rows of data that were left out, by rule. `lenient_reward`: a second reward that is
    only measured, on completions that are sampled anyway: where both move apart, a rise of the reward is a matter of
    format. A plain function as either reward becomes a checked `Reward`.

    Raises DataError if a split is empty, both hold the same prompt, or `max_response_tokens` is below 1.

    >>> Task.from_rows([{"prompt": f"{n}+1=", "completion": f"{n + 1}"} for n in range(10)], name="sums")
    Task('sums', train=8 prompts, heldout=2 prompts, reward=None)
    """

    name: str
    train: tuple[Example, ...]
    heldout: tuple[Example, ...]
    reward: RewardFunction | None = None
    expert_is_known: bool = False
    fresh_draws: bool = False
    max_response_tokens: int | None = None
    exclusions: Mapping[str, int] = field(default_factory=dict)
    lenient_reward: RewardFunction | None = None

    def __post_init__(self) -> None:
        for name in ("reward", "lenient_reward"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checked(getattr(self, name)))
        if not self.train or not self.heldout:
            raise DataError(self._empty_split())
        self._refuse_shared_prompts()
        if self.max_response_tokens is not None and self.max_response_tokens < 1:
            raise DataError(
                f"task {self.name!r}: max_response_tokens must be at least 1 token. Got {self.max_response_tokens}. "
                "Leave it out to sample twice the longest expert response."
            )

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        reward: RewardFunction | str | None = None,
        *,
        name: str = "rows",
        heldout: int | Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
        max_response_tokens: int | None = None,
        lenient_reward: RewardFunction | str | None = None,
    ) -> Task:
        """A task from rows of `prompt`, `completion` (the expert's; may be missing from all) and any other columns.

        Rows of one prompt become one example, whose expert has the frequencies of their completions.

        Args:
            rows: `prompt` is text or chat messages, `completion` text or one assistant message, as TRL has them.
            reward: in TRL's signature, or the name of a registered one; receives the other columns.
            name: the task's name in records and errors.
            heldout: how many prompts to hold out (None: a fifth of them, at most 512), or rows to measure on, whose
                prompts are then left out of `rows` and counted in `exclusions`.
            seed: draws the split.
            max_response_tokens: the longest response in tokens, end-of-sequence included, if you know it.
            lenient_reward: as `reward`; measured beside it, never trained on (None and a `reward` named exact_match:
                lenient_match).

        Raises:
            DataError: an unreadable row, an empty split, or a reward that breaks its contract.
            RecipeError: a reward's name that is not registered.

        >>> rows = [{"prompt": f"{n}+1=", "completion": f"{n + 1}"} for n in range(10)]
        >>> len(Task.from_rows(rows, heldout=3).train)
        7
        """
        scorer = _scorer(reward)
        beside = "lenient_match" if lenient_reward is None and reward == "exact_match" else lenient_reward
        own = None if heldout is None or isinstance(heldout, int) else _rows_of(heldout, "heldout", scorer)
        count = heldout if isinstance(heldout, int) else None
        if count is not None and count < 1:
            raise DataError(f"heldout must be at least 1 prompt. Got {count}. Leave it out to hold out a fifth.")
        pool = _rows_of(rows, "rows", scorer)
        _refuse_one_prompt(pool, own)
        split = split_rows(pool, seed, own_heldout=own, heldout=count)
        return cls(
            name=name,
            train=build_examples(split.train, scorer),
            heldout=build_examples(split.heldout, scorer),
            reward=scorer,
            max_response_tokens=max_response_tokens,
            exclusions={} if own is None else {IN_HELDOUT: split.num_dropped},
            lenient_reward=_scorer(beside),
        )

    def __repr__(self) -> str:
        reward = getattr(self.reward, "name", None)
        parts = f"train={len(self.train)} prompts, heldout={len(self.heldout)} prompts, reward={reward}"
        return f"Task({self.name!r}, {parts})"

    @property
    def expert_reward(self) -> float | None:
        """R_D, reward units: the expert's mean reward over the held-out prompts; None if it was not scored on all."""
        rewards = [reward for example in self.heldout if (reward := example.expert_reward) is not None]
        return math.fsum(rewards) / len(rewards) if len(rewards) == len(self.heldout) else None

    @property
    def expert_entropy(self) -> float | None:
        """H, nats/response, over the held-out prompts: the least SFT loss there is. None if the expert is not known."""
        if not self.expert_is_known:
            return None
        return math.fsum(example.expert_entropy for example in self.heldout) / len(self.heldout)

    @property
    def demonstrated(self) -> tuple[Example, ...]:
        """The training examples to which the expert responds: what can be imitated."""
        return tuple(example for example in self.train if example.responses)

    @property
    def alphabet(self) -> str:
        """Every character of the prompts and responses, sorted: what a tokenizer of characters must know."""
        texts = (text for example in (*self.train, *self.heldout) for text in example.texts)
        return "".join(sorted(set().union(*texts)))

    def sft_rows(self, rng: np.random.Generator, count: int | None = None) -> list[dict[str, Any]]:
        """Rows of `prompt` and `completion` for TRL's SFTTrainer, from the training prompts that have any.

        Args:
            rng: draws the responses if `fresh_draws`, and the order if `count` is given.
            count: how many rows, in shuffled passes over the data; None: each row once, in the order of the data.

        Raises:
            DataError: the task has no expert responses.
        """
        if not self.demonstrated:
            raise DataError(f"task {self.name!r} must have expert responses for SFT. Got none. Give it completions.")
        pool = self.demonstrated if self.fresh_draws else self._rows_as_found()
        order = np.arange(len(pool)) if count is None else _shuffled_passes(len(pool), count, rng)
        draws = rng.random(len(order))
        return [_sft_row(pool[index], draw) for index, draw in zip(order.tolist(), draws.tolist(), strict=True)]

    def rl_rows(self) -> list[dict[str, Any]]:
        """Rows of `prompt` and the reward's columns for TRL's GRPOTrainer: each training prompt once.

        Raises DataError if the task has no reward.
        """
        if self.reward is None:
            raise DataError(f"task {self.name!r} must have a reward for RL. Got none. Give it one, say exact_match.")
        return [{"prompt": for_trainer(example.prompt), **example.columns} for example in self.train]

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of each split's content: prompts, expert responses and their rewards, columns, in their order."""
        return {"train": _sha256(self.train), "heldout": _sha256(self.heldout)}

    def _rows_as_found(self) -> list[Example]:
        """Each row of data by itself, recovered from the frequencies of its prompt's responses."""
        return [
            replace(example, responses=(replace(response, probability=1.0),), num_rows=1)
            for example in self.train
            for response in example.responses
            for _ in range(round(response.probability * example.num_rows))
        ]

    def _refuse_shared_prompts(self) -> None:
        places = {prompt_key(example.prompt): index for index, example in enumerate(self.train)}
        keys = [prompt_key(example.prompt) for example in self.heldout]
        shared = [(places[key], index, key) for index, key in enumerate(keys) if key in places]
        if shared:
            train, heldout, key = shared[0]
            raise DataError(
                f"task {self.name!r}: splits must share no prompt. Got {key} as train[{train}] and heldout[{heldout}]"
                f"{f', and {len(shared) - 1} more' if len(shared) > 1 else ''}. Drop it from one."
            )

    def _empty_split(self) -> str:
        left_out = "".join(f", {count} rows left out ({rule})" for rule, count in self.exclusions.items() if count)
        found = f"{len(self.train)} prompts to train on, {len(self.heldout)} held out{left_out}"
        remedy = "Leave fewer out" if left_out else "Give rows of at least two prompts"
        if len(self.train) + len(self.heldout) > 1:
            remedy = "Hold out fewer, or give more rows"
        return f"task {self.name!r} must have prompts in both splits. Got {found}. {remedy}."


def _scorer(reward: RewardFunction | str | None) -> Reward | None:
    if isinstance(reward, str):
        return build_reward(reward)
    return None if reward is None else checked(reward)


def _refuse_one_prompt(rows: Sequence[Row], heldout: Sequence[Row] | None) -> None:
    """Raise DataError for rows that repeat what is measured on, so that none is left to train on."""
    if heldout is None and len(rows) > 1 and len({prompt_key(row.prompt) for row in rows}) == 1:
        again = "rows[1]" if len(rows) == 2 else f"rows[1] to rows[{len(rows) - 1}]"
        raise DataError(
            "rows must have two different prompts or more: some are trained on, others measured on. Got "
            f"{rows[0].prompt!r} in rows[0] and again in {again}. Add rows of other prompts."
        )
    measured = {prompt_key(row.prompt): index for index, row in reversed(list(enumerate(heldout or ())))}
    if rows and all(prompt_key(row.prompt) in measured for row in rows):
        raise DataError(
            "rows must have a prompt that heldout has not: what is measured on is not trained on. Got "
            f"{rows[0].prompt!r} in rows[0] and heldout[{measured[prompt_key(rows[0].prompt)]}], and nothing new in "
            f"any of the {len(rows)} rows. Add rows of other prompts, or take some out of heldout."
        )


def _rows_of(rows: Iterable[Mapping[str, Any]], source: str, reward: Reward | None) -> list[Row]:
    records = records_of(rows, source)
    has_expert = any("completion" in record.values for record in records)
    if records and not has_expert and reward is None:
        there = ", ".join(records[0].values)
        raise DataError(
            f"{source} must have completions, or come with a reward. Got columns {there} in {source}[0]. Name the "
            "column of the expert's response `completion`, or give reward=."
        )
    return [row_of(record, has_expert) for record in records]


def _shuffled_passes(size: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, "count"]:
    """`count` indices below `size`: each once in random order, then again, so that none is ahead by more than one."""
    passes = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate([np.empty(0, dtype=np.int64), *passes])[:count]


def _sft_row(example: Example, draw: float) -> dict[str, Any]:
    """A row with the expert's response at `draw`, uniform in [0, 1), on the cumulative distribution."""
    cumulative = itertools.accumulate(response.probability for response in example.responses)
    position = min(sum(draw >= edge for edge in cumulative), len(example.responses) - 1)
    text = example.responses[position].text
    return {"prompt": for_trainer(example.prompt), "completion": completion_for(example.prompt, text)}


def _sha256(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.canonical()}\n".encode())
    return digest.hexdigest()
