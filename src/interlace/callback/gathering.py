"""Where TRL's RL trainers show what they sample: bound methods overridden on the trainer in hand, and its own logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor
from transformers import Trainer

from interlace.callback.rollouts import Batch, Rollouts, in_groups
from interlace.rewards.base import Reward
from interlace.statistics import reward_interval
from interlace.tasks import Task

SAMPLES = "_calculate_rewards"
ROLLOUT = "_generate_and_score_completions"
"""TRL's method that scores a batch of completions, and the one around it that turns scores into advantages."""
SUM_FIRST = "sum_then_normalize"
"""TRL's name for adding rewards up before they are compared within a group."""

Guarded: TypeAlias = Callable[[str, Callable[[], None]], None]
"""Runs what reads at a named seam: counts its time, and decides what an error of ours does."""


def samples(trainer: Trainer) -> bool:
    """Whether the trainer samples completions and rewards them (GRPO, RLOO and what derives from them)."""
    return callable(getattr(trainer, SAMPLES, None)) and callable(getattr(trainer, ROLLOUT, None))


def listen(trainer: Trainer, task: Task, guarded: Guarded) -> Rollouts:
    """Gather what `trainer` samples on `task` while it trains. What it returns to itself is left as it is."""
    rollouts = rollouts_of(trainer, task)

    def read_rewards(rewards: Any, inputs: Any, prompts: Any, completions: Any, ids: Sequence[Sequence[int]]) -> None:
        if trainer.model.training:
            rollouts.add(batch_of(trainer, rewards, ids))

    def read_advantages(output: dict[str, Any], inputs: Any) -> None:
        if trainer.model.training:
            advantages = _array(output["advantages"])
            sizes = np.abs(advantages.reshape(len(advantages), -1)).mean(axis=1)  # one a completion, or one a token
            rollouts.advantages.append(in_groups(sizes, trainer.num_generations))

    override(trainer, SAMPLES, read_rewards, guarded)
    override(trainer, ROLLOUT, read_advantages, guarded)
    return rollouts


def override(owner: Any, method: str, read: Callable[..., None], guarded: Guarded) -> None:
    """Let `read` see what `owner.method` returns and was given; the method itself runs as before."""
    original = getattr(owner, method)

    def with_a_reader(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        guarded(method, lambda: read(result, *args, **kwargs))
        return result

    setattr(owner, method, with_a_reader)


def batch_of(trainer: Trainer, rewards: Tensor, ids: Sequence[Sequence[int]]) -> Batch:
    """Rewards of all processes in their groups, weighed as the trainer weighs them; this process's completions.

    The sampler lays groups out one after the other over the processes, so rank 0's begin with a group.
    """
    values = _array(rewards)
    weights = _array(trainer.reward_weights)
    total = np.where(np.isnan(values).all(axis=1), np.nan, np.nansum(values * weights, axis=1))
    tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
    ends = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    lengths = np.array([len(row) for row in ids], dtype=np.float64)
    cut = np.array([not row or row[-1] not in ends for row in ids], dtype=np.float64)
    return Batch(*(in_groups(each, trainer.num_generations) for each in (total, lengths, cut)))


def rollouts_of(trainer: Trainer, task: Task) -> Rollouts:
    """An empty gathering that knows R_D."""
    means = np.array([np.nan if e.expert_reward is None else e.expert_reward for e in task.heldout], dtype=np.float64)
    single = [r.reward for e in task.heldout for r in e.responses if r.reward is not None]
    rewards = np.array(single, dtype=np.float64)
    expert = reward_interval(means, rewards, is_exact=task.expert_is_known)
    rollouts = Rollouts.seeded(task.name, expert, _mismatch(trainer, task), int(trainer.args.seed))
    rollouts.is_shuffled, rollouts.is_summed = bool(getattr(trainer, "shuffle_dataset", True)), _is_summed(trainer)
    return rollouts


def _is_summed(trainer: Trainer) -> bool:
    """Whether equal sums of rewards have no advantage: always of one reward, and of several unless TRL's GRPO
    normalises each within its group before it adds them."""
    way = getattr(trainer, "multi_objective_aggregation", SUM_FIRST)
    return way == SUM_FIRST or len(trainer.reward_funcs) == 1


def _mismatch(trainer: Trainer, task: Task) -> str | None:
    """Why what the trainer adds up is not the task's own reward; None if it is, which it is if nothing else is added
    and its weight is 1."""
    functions, weights = list(trainer.reward_funcs), _array(trainer.reward_weights)
    if task.reward is None or len(functions) != 1 or _plain(functions[0]) is not _plain(task.reward):
        return "the trainer's reward is not the task's reward alone"
    return None if weights[0] == 1.0 else f"the trainer's reward is {weights[0]:g} times the task's (reward_weights)"


def _plain(reward: object) -> object:
    return reward.function if isinstance(reward, Reward) else reward


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
