"""What an RL trainer samples anyway, gathered between two looks: rewards by group, lengths, advantages.

By-products: they cost no forward. They speak of training prompts and of the policy as it moved since the last look.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import bootstrap_interval, mean_interval, reward_interval
from interlace.theory.paths import rl_time_from_rewards

REWARD_UNIT = "reward units"
KEPT = "interlace_rollouts.npz"
RESAMPLES = 1000
"""Of the groups, for the interval of RL time: what 95 % asks for from 16 groups a look on; fewer are refused."""
BLOCK = 100
"""Resamples drawn together: 800 bytes a group."""


@dataclass(frozen=True)
class Batch:
    """One batch of generations. `rewards` in groups (NaN: not scored), `lengths` in tokens, `cut`: the completion ended
    at the limit. Lengths are this process's own, rewards those of all processes."""

    rewards: Float[np.ndarray, "group member"]
    lengths: Int[np.ndarray, "completion"]
    cut: Bool[np.ndarray, "completion"]


@dataclass
class Rollouts:
    """Batches since the last look, and the path of reward since the start.

    `task` is what is trained on; `expert_reward` is R_D; `rewards_are_the_tasks`: the trainer's reward is the task's
    alone, so that the two compare; `rng` resamples groups; `is_resumed`: what was sampled before a resume is not known.
    """

    name = "rollouts"
    sentence = "what the RL trainer samples anyway, since the last look: rewards by group, parity gap, RL time, lengths"
    source = "A4, D5"
    cost = "byproduct"

    task: str
    expert_reward: Figure
    rewards_are_the_tasks: bool
    rng: np.random.Generator
    batches: list[Batch] = field(default_factory=list)
    advantages: list[Float[np.ndarray, "_"]] = field(default_factory=list)
    path: list[tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "resample"]]] = field(default_factory=list)
    tokens_sampled: int = 0
    num_groups: int = 0
    is_resumed: bool = False

    def add(self, batch: Batch) -> None:
        """Take in one batch of generations."""
        self.batches.append(batch)
        self.tokens_sampled += int(batch.lengths.sum())

    def figures(self) -> dict[str, Figure]:
        """The figures of what was gathered, which is then let go; none if nothing was."""
        batches, self.batches = self.batches, []
        advantages, self.advantages = self.advantages, []
        if not batches:
            return {}
        rewards = np.concatenate([batch.rewards for batch in batches])
        whole = rewards[np.isfinite(rewards).sum(axis=1) > 1]
        found = self._of_rewards(whole) if len(whole) else {}
        lengths = np.concatenate([batch.lengths for batch in batches]).astype(np.float64)
        cut = np.concatenate([batch.cut for batch in batches]).astype(np.float64)
        found["train_completion_tokens"] = mean_interval(lengths, unit="tokens", method="Student t over completions")
        found["train_truncated_fraction"] = share_interval(cut)
        if advantages:
            size = np.abs(np.concatenate(advantages)).astype(np.float64)
            found["train_advantage_size"] = mean_interval(size, unit="advantage", method="Student t over completions")
        return found

    def save(self, folder: Path) -> None:
        """Keep in a checkpoint what a resumed run must know to gather as an unbroken one."""
        arrays: dict[str, Any] = {"path": np.array(self.path), "advantages": _joined(self.advantages, ())}
        for name, ends in (("rewards", (0,)), ("lengths", ()), ("cut", ())):
            arrays[name] = _joined([getattr(batch, name) for batch in self.batches], ends)
        counted = {"tokens_sampled": self.tokens_sampled, "num_groups": self.num_groups}
        np.savez(folder / KEPT, **arrays, state=json.dumps({**counted, "rng": self.rng.bit_generator.state}))

    def restore(self, folder: Path) -> None:
        """Take up what `save` kept; where it kept nothing, the RL time since the start is not known any more."""
        if not (folder / KEPT).exists():
            self.is_resumed = True
            return
        with np.load(folder / KEPT) as kept:
            self.path = [(rewards, variances) for rewards, variances in kept["path"]]
            self.advantages = [kept["advantages"]] if kept["advantages"].size else []
            cut = kept["cut"].astype(bool)
            self.batches = [Batch(kept["rewards"], kept["lengths"].astype(np.int64), cut)] if cut.size else []
            state = json.loads(str(kept["state"]))
        self.rng.bit_generator.state = state.pop("rng")
        self.tokens_sampled, self.num_groups = state["tokens_sampled"], state["num_groups"]

    def _of_rewards(self, groups: Float[np.ndarray, "group member"]) -> dict[str, Figure]:
        means, variances = np.nanmean(groups, axis=1), np.nanvar(groups, axis=1, ddof=1)
        reward = reward_interval(means, groups[np.isfinite(groups)], is_exact=False)
        self.num_groups = len(groups)
        self.path.append(self._resampled(means, variances))
        flat = (variances == 0.0).astype(np.float64)
        return {
            "train_reward": reward,
            "train_reward_variance": _variance(variances),
            "train_flat_groups_fraction": share_interval(flat),
            "train_parity_gap": self._parity_gap(reward),
            "train_rl_time": self._rl_time(),
        }

    def _parity_gap(self, reward: Figure) -> Figure:
        """R - R_D; the two come from different prompts, so their errors add in square."""
        if not self.rewards_are_the_tasks:
            return Unresolved("the trainer's reward is not the task's reward alone, so the expert's does not compare")
        expert = self.expert_reward
        if isinstance(reward, Unresolved) or isinstance(expert, Unresolved):
            return reward if isinstance(reward, Unresolved) else expert
        value = reward.value - expert.value
        below = float(np.hypot(reward.value - reward.lower, expert.upper - expert.value))
        above = float(np.hypot(reward.upper - reward.value, expert.value - expert.lower))
        method = "difference of means over different prompts"
        return Estimate(value, value - below, value + above, reward.level, reward.n, method, REWARD_UNIT)

    def _rl_time(self) -> Figure:
        """D5 from rewards alone: the integral of dR/V since the first look; the groups of every look are resampled."""
        if self.is_resumed:
            return Unresolved("training was resumed: what was earned before is not known, so neither is RL time")
        if len(self.path) < 2:
            return Unresolved("RL time needs rewards at two looks")
        rewards, variances = (np.stack(column, axis=1) for column in zip(*self.path, strict=True))
        if (variances <= 0.0).any():
            return Unresolved("the rewards do not vary within groups, so there is nothing to move along (D5)")
        times = rl_time_from_rewards(rewards, variances)[:, -1]
        return bootstrap_interval(times[1:], float(times[0]), num_prompts=self.num_groups, unit="per reward unit")

    def _resampled(
        self, means: Float[np.ndarray, "group"], variances: Float[np.ndarray, "group"]
    ) -> tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "resample"]]:
        """Mean reward and variance: as they are (first), then of `RESAMPLES` resamples of the groups."""
        found = [(means.mean(keepdims=True), variances.mean(keepdims=True))]
        for _ in range(RESAMPLES // BLOCK):
            drawn = self.rng.integers(means.size, size=(BLOCK, means.size))
            found.append((means[drawn].mean(axis=1), variances[drawn].mean(axis=1)))
        rewards, spreads = zip(*found, strict=True)
        return np.concatenate(rewards), np.concatenate(spreads)


def _variance(variances: Float[np.ndarray, "group"]) -> Figure:
    if not variances.any():
        return Unresolved(f"no reward differs within any of {variances.size} groups")
    return mean_interval(variances, unit="reward units^2", method="Student t over groups")


def share_interval(hits: Float[np.ndarray, "unit"]) -> Figure:
    """The share of units that hit (0 or 1), a fraction."""
    return reward_interval(hits, np.array([0.0, 1.0]), is_exact=False, unit="fraction")


def _joined(arrays: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros((0, *empty))
