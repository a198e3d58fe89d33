"""A10, prompt by prompt: where a policy stands beside the RL path of its stage's start.

The start tells what its tilt of RL time tau earns, and its log Z (`statistics.tilted_start`). A `Place` is a policy
with the tilt that earns the same reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.statistics import mean_interval
from interlace.statistics.tilted_start import EnumeratedStart, PerPrompt, SampledStart, Start, start_of

__all__ = ["EnumeratedStart", "Place", "SampledStart", "Start", "between", "place", "tilting_start"]

METHOD = "influence function over prompts, RL time matched in reward"


@dataclass(frozen=True, eq=False)
class Place:
    """A policy and the tilt pi_tau of its stage's start that earns the same reward, prompt by prompt.

    `tilt` and `off_path` are pseudo-values: their means are A10's parts, their spread gives the parts' errors, the
    matched RL time's error included (through `time`, whose mean is `rl_time`).
    """

    rl_time: float
    log_partition: PerPrompt
    tilted_reward: PerPrompt
    tilted_variance: float
    reward: PerPrompt
    expert_reward: PerPrompt
    sft_change: PerPrompt

    @cached_property
    def time(self) -> PerPrompt:
        """Pseudo-values of the matched RL time: E_x[R_x - R_x(pi_tau)] = 0 has slope -V(pi_tau) in tau."""
        return self.rl_time + (self.reward - self.tilted_reward) / self.tilted_variance

    @cached_property
    def tilt(self) -> PerPrompt:
        """Pseudo-values of the tilt part E_x log Z - tau R_D, whose slope in tau is the parity gap (A4)."""
        slope = float((self.tilted_reward - self.expert_reward).mean())
        return self.log_partition - self.rl_time * self.expert_reward + slope * (self.time - self.rl_time)

    @cached_property
    def off_path(self) -> PerPrompt:
        """Pseudo-values of the off-path part: the rest of the change."""
        return self.sft_change - self.tilt


def tilting_start(trajectory: Trajectory) -> Start:
    """The start of a trajectory whose reward was measured there."""
    scores = trajectory.start.scores
    values, probabilities = scores.reward_values, scores.reward_probabilities
    assert values is not None and probabilities is not None
    return start_of(values, probabilities, trajectory.expert_reward, is_exact=scores.reward_is_exact)


def place(trajectory: Trajectory, start: Start, snapshot: Snapshot) -> Place | Unresolved:
    """Where `snapshot` stands. The trajectory needs SFT loss and reward measured at all its points."""
    with np.errstate(invalid="ignore"):
        change = snapshot.loss - trajectory.start.loss
    bad = int((~np.isfinite(change + snapshot.reward + trajectory.expert_reward)).sum())
    if bad:
        return Unresolved(f"{bad} of {change.size} prompts have values that are not finite")
    rl_time = start.matching_time(float(snapshot.reward.mean()))
    if isinstance(rl_time, Unresolved):
        return rl_time
    return Place(
        rl_time=rl_time,
        log_partition=start.log_partition(rl_time),
        tilted_reward=start.tilted_reward(rl_time),
        tilted_variance=start.tilted_variance(rl_time),
        reward=snapshot.reward,
        expert_reward=trajectory.expert_reward,
        sft_change=change,
    )


def between(earlier: PerPrompt, later: PerPrompt, unit: str) -> Figure:
    """The change of a mean of pseudo-values between two places."""
    return mean_interval(later - earlier, unit=unit, method=METHOD)
