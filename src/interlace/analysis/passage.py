"""What a law is asked about: one stage, the task it trained on, one kind of weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from interlace.analysis.changes import NATS_RESPONSE, REWARD_UNIT
from interlace.analysis.place import Place, Start, place, tilting_start
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.statistics import paired_change, reward_interval
from interlace.store import StageRecord


@dataclass(frozen=True, eq=False)
class Passage:
    """A stage under one kind of weights. `resample`: bootstrap weights of the prompts, shared by all its figures.

    Arrays run over the snapshots of `both`, where SFT loss and reward were measured; they need `gap` to be None.
    """

    stage: StageRecord
    trajectory: Trajectory
    resample: Float[np.ndarray, "resample prompt"]

    @property
    def placebo(self) -> str | None:
        """How the rewards were permuted, if they were (C9)."""
        return self.stage.options.get("placebo")

    @property
    def gap(self) -> str | None:
        """Why laws about SFT loss and reward say nothing here, if so."""
        return self.trajectory.gap(SFT_LOSS, REWARD)

    @cached_property
    def both(self) -> Trajectory:
        """The trajectory where SFT loss and reward were both measured."""
        return self.trajectory.measured(SFT_LOSS, REWARD)

    @cached_property
    def losses(self) -> Float[np.ndarray, "snapshot prompt"]:
        """SFT loss, nats/response."""
        return np.stack([snapshot.loss for snapshot in self.both.snapshots])

    @cached_property
    def rewards(self) -> Float[np.ndarray, "snapshot prompt"]:
        """R_x, reward units."""
        return np.stack([snapshot.reward for snapshot in self.both.snapshots])

    @cached_property
    def variances(self) -> Float[np.ndarray, "snapshot prompt"]:
        """Within-prompt variance of the reward, reward units squared."""
        return np.stack([snapshot.reward_variance for snapshot in self.both.snapshots])

    @cached_property
    def start(self) -> Start:
        """The stage's start by its law of reward."""
        return tilting_start(self.both)

    def place(self, index: int) -> Place | Unresolved:
        """Where snapshot `index` stands beside the RL path (A10)."""
        return place(self.both, self.start, self.both.snapshots[index])

    def parity_gap(self, index: int) -> Figure:
        """R - R_D at snapshot `index`, paired prompt by prompt."""
        return paired_change(self.both.expert_reward, self.rewards[index], unit=REWARD_UNIT)

    @cached_property
    def parity_gaps(self) -> tuple[Figure, ...]:
        """R - R_D at every snapshot."""
        return tuple(self.parity_gap(index) for index in range(len(self.both.snapshots)))

    def loss_change(self, first: int, last: int) -> Figure:
        """Change of SFT loss between two snapshots."""
        return paired_change(self.losses[first], self.losses[last], unit=NATS_RESPONSE)

    def reward_change(self, first: int, last: int) -> Figure:
        """Change of reward between two snapshots."""
        return paired_change(self.rewards[first], self.rewards[last], unit=REWARD_UNIT)


def expert_reward(trajectory: Trajectory) -> Figure:
    """R_D over the held-out prompts."""
    held = trajectory.held
    if trajectory.without_expert is not None:
        return Unresolved(trajectory.without_expert)
    if np.isnan(held.reward).any():
        return Unresolved(f"task {trajectory.task} has no reward")
    return reward_interval(trajectory.expert_reward, held.reward, is_exact=held.expert_is_known, unit=REWARD_UNIT)
