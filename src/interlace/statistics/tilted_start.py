"""What a policy's own law of reward tells of its tilts: log Z, reward and variance at any RL time (A1, A4, C4).

The law is enumerated (`EnumeratedStart`) or known by samples (`SampledStart`); `start_of` makes either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.estimate import Unresolved
from interlace.statistics.partition import mean_log_partition, sampled_log_partition
from interlace.theory.distributional import matching_rl_time, tilted_reward_variance
from interlace.theory.distributional.tilt import log_partition, tilted_policy
from interlace.theory.finite import FiniteProblem, prompt_reward, reward_problem

NEWTON_STEPS = 100

PerPrompt: TypeAlias = Float[np.ndarray, "prompt"]


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


def start_of(
    values: Float[np.ndarray, "prompt atom"],
    probabilities: Float[np.ndarray, "prompt atom"],
    expert_reward: PerPrompt,
    *,
    is_exact: bool,
) -> Start:
    """The start whose reward takes `values` with `probabilities`: enumerated (`is_exact`), or sampled alike.

    `expert_reward`: R_D of each prompt, which the tilts do not depend on.
    """
    if not is_exact:
        return SampledStart(values)
    shares = np.clip(probabilities, 0.0, None)  # 1 - p may round below 0
    return EnumeratedStart(reward_problem(values, shares / shares.sum(axis=1, keepdims=True), expert_reward))
