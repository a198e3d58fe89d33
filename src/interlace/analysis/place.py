"""A10, prompt by prompt: where a policy stands beside the RL path of its stage's start.

The start knows its own law of reward, enumerated (`EnumeratedStart`) or sampled (`SampledStart`, C4); either tells what
its tilt of RL time tau earns and its log Z. A `Place` is a policy with the tilt that earns the same reward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.statistics import mean_interval, mean_log_partition, sampled_log_partition
from interlace.theory.distributional import matching_rl_time, tilted_reward_variance
from interlace.theory.distributional.tilt import log_partition, tilted_policy
from interlace.theory.finite import FiniteProblem, prompt_reward, reward_problem

NEWTON_STEPS = 100
METHOD = "influence function over prompts, RL time matched in reward"

PerPrompt = Float[np.ndarray, "prompt"]


@dataclass(frozen=True, eq=False)
class EnumeratedStart:
    """A start whose law of reward is known exactly."""

    problem: FiniteProblem

    def log_partition(self, rl_time: float) -> PerPrompt:
        """log Z of each prompt, nats."""
        return log_partition(self.problem, rl_time)

    def tilted_reward(self, rl_time: float) -> PerPrompt:
        """R_x of the tilt, the derivative of `log_partition`."""
        return prompt_reward(self.problem, tilted_policy(self.problem, rl_time))

    def tilted_variance(self, rl_time: float) -> float:
        """V of the tilt, the derivative of the mean `tilted_reward`."""
        return tilted_reward_variance(self.problem, rl_time)

    def matching_time(self, reward: float) -> float | Unresolved:
        """The RL time whose tilt earns `reward`, if one does."""
        rl_time = matching_rl_time(self.problem, reward)
        if math.isfinite(rl_time) and self.tilted_variance(rl_time) > 0.0:
            return rl_time
        return Unresolved(f"no tilt of the stage's start earns reward {reward:.3g}")


@dataclass(frozen=True, eq=False)
class SampledStart:
    """A start known by K sampled rewards a prompt: jackknifed; refused where too few samples carry the tilt (C4)."""

    rewards: Float[np.ndarray, "prompt sample"]

    def log_partition(self, rl_time: float) -> PerPrompt:
        """log Z of each prompt, nats, jackknifed."""
        return sampled_log_partition(self.rewards, rl_time)

    def tilted_reward(self, rl_time: float) -> PerPrompt:
        """R_x of the tilt: the derivative of the jackknifed log Z, hence jackknifed itself."""
        samples = self.rewards.shape[1]
        weights = np.exp(rl_time * self.rewards - (rl_time * self.rewards).max(axis=1, keepdims=True))
        total, earned = weights.sum(axis=1), (weights * self.rewards).sum(axis=1)
        rest = np.maximum(total[:, None] - weights, np.finfo(float).tiny)
        left_out = ((earned[:, None] - weights * self.rewards) / rest).mean(axis=1)
        return samples * earned / total - (samples - 1) * left_out

    def tilted_variance(self, rl_time: float) -> float:
        """V of the tilt, by a central difference."""
        step = 1e-4 / self._range
        rise = self.tilted_reward(rl_time + step) - self.tilted_reward(rl_time - step)
        return float(rise.mean()) / (2.0 * step)

    def matching_time(self, reward: float) -> float | Unresolved:
        """The RL time whose tilt earns `reward`, by short Newton steps from 0, if the samples carry it."""
        rl_time = 0.0
        for _ in range(NEWTON_STEPS):
            carried = mean_log_partition(self.rewards, rl_time)
            if isinstance(carried, Unresolved):
                return carried
            shortfall, variance = reward - float(self.tilted_reward(rl_time).mean()), self.tilted_variance(rl_time)
            if variance <= 0.0:
                break
            if abs(shortfall) <= 1e-12 * self._range:
                return rl_time
            rl_time += float(np.clip(shortfall / variance, -1.0 / self._range, 1.0 / self._range))
        return Unresolved(f"no tilt of the sampled start earns reward {reward:.3g}")

    @property
    def _range(self) -> float:
        return max(1e-300, float(np.ptp(self.rewards)))


Start: TypeAlias = EnumeratedStart | SampledStart


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
    if not scores.reward_is_exact:
        return SampledStart(values)
    shares = np.clip(probabilities, 0.0, None)  # 1 - p may round below 0
    problem = reward_problem(values, shares / shares.sum(axis=1, keepdims=True), trajectory.expert_reward)
    return EnumeratedStart(problem)


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
