"""What an RL trainer samples anyway, gathered between two looks: rewards by group, lengths, advantages.

By-products: they cost no forward. They speak of training prompts and of the policy as it moved since the last look.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import bootstrap_interval, mean_interval, reward_interval
from interlace.theory.paths import rl_time_from_rewards

REWARD_UNIT = "reward units"
RESAMPLES = 400
"""Of the groups, for the interval of RL time: as many as a 95 % percentile interval asks for."""


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

    `expert_reward` is R_D; `rewards_are_the_tasks`: the trainer's reward is the task's alone, so that the two compare;
    `rng` resamples groups.
    """

    expert_reward: Figure
    rewards_are_the_tasks: bool
    rng: np.random.Generator
    batches: list[Batch] = field(default_factory=list)
    advantages: list[Float[np.ndarray, "_"]] = field(default_factory=list)
    path: list[tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "resample"]]] = field(default_factory=list)
    tokens_sampled: int = 0
    num_groups: int = 0

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
        groups = [group[np.isfinite(group)] for batch in batches for group in batch.rewards]
        whole = [group for group in groups if group.size > 1]
        found = {} if not whole else self._of_rewards(whole)
        lengths = np.concatenate([batch.lengths for batch in batches]).astype(np.float64)
        cut = np.concatenate([batch.cut for batch in batches]).astype(np.float64)
        found["train_completion_tokens"] = mean_interval(lengths, unit="tokens", method="Student t over completions")
        found["train_truncated_fraction"] = share_interval(cut)
        if advantages:
            size = np.abs(np.concatenate(advantages)).astype(np.float64)
            found["train_advantage_size"] = mean_interval(size, unit="advantage", method="Student t over completions")
        return found

    def _of_rewards(self, groups: list[Float[np.ndarray, "_"]]) -> dict[str, Figure]:
        means = np.array([group.mean() for group in groups])
        variances = np.array([group.var(ddof=1) for group in groups])
        reward = mean_interval(means, unit=REWARD_UNIT, method="Student t over groups")
        self.num_groups = len(groups)
        self.path.append(self._resampled(means, variances))
        flat = (variances == 0.0).astype(np.float64)
        return {
            "train_reward": reward,
            "train_reward_variance": mean_interval(variances, unit="reward units^2", method="Student t over groups"),
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
        drawn = self.rng.integers(means.size, size=(RESAMPLES, means.size))
        return _with_resamples(means, drawn), _with_resamples(variances, drawn)


def _with_resamples(
    values: Float[np.ndarray, "group"], drawn: Int[np.ndarray, "draws group"]
) -> Float[np.ndarray, "resample"]:
    return np.concatenate([[values.mean()], values[drawn].mean(axis=1)])


def share_interval(hits: Float[np.ndarray, "unit"]) -> Figure:
    """The share of units that hit (0 or 1), a fraction."""
    return reward_interval(hits, np.array([0.0, 1.0]), is_exact=False, unit="fraction")
