"""What an RL trainer samples anyway, gathered between two looks: rewards by group, lengths, advantages.

By-products: they cost no forward. They speak of training prompts and of the policy as it moved since the last look.
Completions of one prompt are alike, so every interval is over groups.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.callback.recent_groups import RecentGroups
from interlace.callback.rl_time import RlTimePath
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.flags import SampledGroups
from interlace.statistics import bounded_mean_interval, mean_interval, reward_interval

REWARD_UNIT = "reward units"
METHOD = "Student t over groups"
KEPT = "interlace_sampled.npz"

Grouped: TypeAlias = Float[np.ndarray, "_ member"]
PARTS = ("rewards", "lengths", "cut")
"""Of a batch."""


@dataclass(frozen=True)
class Batch:
    """One batch of generations, a row a group: `rewards` (NaN: not scored), `lengths` in tokens, `cut` (1: the
    completion ended at the limit). Rewards are those of all processes; lengths and `cut` this one's, NaN for members of
    a group that another process holds."""

    rewards: Grouped
    lengths: Grouped
    cut: Grouped


@dataclass
class Rollouts:
    """Batches since the last look, and the path of reward since the start.

    `task` is the one that the figures stand under: the one trained on in a pipeline, the first one measured with
    `attach`, whatever the trainer trains on. `expert_reward` is R_D; `mismatch`: why the trainer's reward is not the
    task's alone, so that the two do not compare (None: they do); `path` adds up RL time; `advantages` are their
    absolute values, a completion each; `recent` is what flags read; `is_resumed`: what was sampled before a resume is
    not known; `is_shuffled`: prompts come in a random order; `is_summed`: rewards are added up before they are compared
    within a group, so that equal sums have no advantage.
    """

    name = "rollouts"
    sentence = (
        "what the RL trainer samples anyway, since the last look: rewards by group, parity gap, lengths; RL time "
        "(negative where the reward fell; perhaps noise if its interval holds 0)"
    )
    source = "A4, D5"
    cost = "byproduct"

    task: str
    expert_reward: Figure
    mismatch: str | None
    path: RlTimePath
    batches: list[Batch] = field(default_factory=list)
    advantages: list[Grouped] = field(default_factory=list)
    recent: RecentGroups = field(default_factory=RecentGroups)
    tokens_sampled: int = 0
    is_resumed: bool = False
    is_shuffled: bool = True
    is_summed: bool = True

    @classmethod
    def seeded(cls, task: str, expert_reward: Figure, mismatch: str | None, seed: int) -> Rollouts:
        """An empty gathering whose resamples are drawn by `seed`."""
        return cls(task, expert_reward, mismatch, RlTimePath(np.random.default_rng(seed)))

    def begin(self) -> None:
        """Begin anew: what an earlier training of this process gathered is not this one's."""
        self.batches, self.advantages, self.tokens_sampled = [], [], 0
        self.path, self.is_resumed = RlTimePath(self.path.rng), False
        self.recent = RecentGroups()

    @property
    def groups(self) -> SampledGroups | None:
        """What flags may read of the windows; None until one is full, and where equal sums may have advantages."""
        found = self.recent.groups if self.is_summed else None
        if found is None or (self.mismatch is None and self.is_shuffled):
            return found
        return replace(found, first=None)

    def add(self, batch: Batch) -> None:
        """Take in one batch of generations."""
        self.batches.append(batch)
        self.recent.add(batch.rewards)
        self.tokens_sampled += int(np.nansum(batch.lengths))

    def figures(self) -> dict[str, Figure]:
        """The figures of what was gathered, which is then let go; none if nothing was."""
        batches, self.batches = self.batches, []
        advantages, self.advantages = self.advantages, []
        if not batches:
            return {}
        rewards = np.concatenate([batch.rewards for batch in batches])
        whole = rewards[np.isfinite(rewards).sum(axis=1) > 1]
        found = self._of_rewards(whole) if len(whole) else {}
        lengths, cut = (_group_means([getattr(batch, name) for batch in batches]) for name in ("lengths", "cut"))
        found["train_completion_tokens"] = _size(lengths, "tokens")
        found["train_truncated_fraction"] = _share(cut)
        if advantages:
            found["train_advantage_size"] = _size(_group_means(advantages), "advantage")
        return found

    def save(self, folder: Path) -> None:
        """Keep in a checkpoint what a resumed run must know to gather as an unbroken one."""
        arrays: dict[str, Any] = {name: _stacked([getattr(batch, name) for batch in self.batches]) for name in PARTS}
        path, counts = self.path.state()
        state = json.dumps({"tokens_sampled": self.tokens_sampled, "path": counts})
        arrays |= {f"path_{name}": array for name, array in path.items()}
        arrays |= {f"groups_{name}": array for name, array in self.recent.arrays().items()}
        np.savez(folder / KEPT, state=state, advantages=_stacked(self.advantages), **arrays)

    def restore(self, folder: Path) -> None:
        """Take up what `save` kept; where it kept nothing, the RL time since the start is not known any more."""
        if not (folder / KEPT).exists():
            self.is_resumed = True
            return
        with np.load(folder / KEPT) as kept:
            held: dict[str, Any] = dict(kept)
        self.advantages = [held["advantages"]] if held["advantages"].size else []
        batch = Batch(*(held[name] for name in PARTS))
        self.batches = [batch] if batch.rewards.size else []
        state = json.loads(str(held["state"]))
        self.tokens_sampled = state["tokens_sampled"]
        self.path.restore(_named("path_", held), state["path"])
        if groups := _named("groups_", held):  # a checkpoint of an older version has none
            self.recent = RecentGroups.restored(groups)

    def _of_rewards(self, groups: Grouped) -> dict[str, Figure]:
        means, variances = np.nanmean(groups, axis=1), np.nanvar(groups, axis=1, ddof=1)
        reward = reward_interval(means, groups[np.isfinite(groups)], is_exact=False)
        rl_time = self.path.add(means, variances)
        return {
            "train_reward": reward,
            "train_reward_variance": _variance(variances),
            "train_flat_groups_fraction": self._flat(variances),
            "train_parity_gap": self._parity_gap(reward),
            "train_rl_time": Unresolved(_RESUMED) if self.is_resumed else rl_time,
        }

    def _flat(self, variances: Float[np.ndarray, "group"]) -> Figure:
        """The share of groups without an advantage."""
        if not self.is_summed:
            return Unresolved("the trainer normalises each reward before it adds them: equal sums may have advantages")
        return _share((variances == 0.0).astype(np.float64))

    def _parity_gap(self, reward: Figure) -> Figure:
        """R - R_D; the two come from different prompts, so their errors add in square."""
        if self.mismatch is not None:
            return Unresolved(f"{self.mismatch}, so the expert's does not compare")
        expert = self.expert_reward
        if isinstance(reward, Unresolved) or isinstance(expert, Unresolved):
            return reward if isinstance(reward, Unresolved) else expert
        value = reward.value - expert.value
        below = float(np.hypot(reward.value - reward.lower, expert.upper - expert.value))
        above = float(np.hypot(reward.upper - reward.value, expert.value - expert.lower))
        method = "difference of means over different prompts"
        return Estimate(value, value - below, value + above, reward.level, reward.n, method, REWARD_UNIT)


_RESUMED = "training was resumed: what was earned before is not known, so neither is RL time"


def in_groups(values: Float[np.ndarray, "completion"], members: int) -> Grouped:
    """Completions in the order of their groups, `members` a row; the last row is filled up with NaN.

    >>> in_groups(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [3.0, nan]]
    """
    rows = -(-values.size // members)
    padded = np.full(rows * members, np.nan)
    padded[: values.size] = values
    return padded.reshape(rows, members)


def _group_means(parts: list[Grouped]) -> Float[np.ndarray, "group"]:
    return np.nanmean(_stacked(parts), axis=1)


def _variance(variances: Float[np.ndarray, "group"]) -> Figure:
    if not variances.any():
        return Unresolved(f"no reward differs within any of {variances.size} groups")
    return _size(variances, "reward units^2")


def _size(values: Float[np.ndarray, "group"], unit: str) -> Figure:
    """The mean of what is never negative, hence neither is its interval."""
    found = mean_interval(values, unit=unit, method=METHOD)
    return replace(found, lower=max(0.0, found.lower)) if isinstance(found, Estimate) else found


def _share(shares: Float[np.ndarray, "group"]) -> Figure:
    """The mean of shares that each group has, a fraction: its interval stays in [0, 1]."""
    found = bounded_mean_interval(shares, 0.0, 1.0, unit="fraction", is_exact=False)
    return replace(found, method=found.method.replace("prompts", "groups")) if isinstance(found, Estimate) else found


def _named(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _stacked(parts: list[Grouped]) -> Grouped:
    return np.concatenate(parts) if parts else np.zeros((0, 0))
