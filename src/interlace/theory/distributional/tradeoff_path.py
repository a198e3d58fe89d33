"""A6: every RL time at which the tradeoff Phi turns from rising to falling.

Found in strides along RL time, each so short that bounds prove Phi' to change its sign in it once at most (down to
FINEST_STRIDE of the whole, below which stationary points are alike in Phi).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.theory.distributional.increase import sft_loss_increase
from interlace.theory.distributional.rl_times import reward_tolerance
from interlace.theory.finite import FiniteProblem, below_top, over_prompts, reward_difference, top_reward
from interlace.theory.roots import root_between

FINEST_STRIDE = 2.0**-30
"""Strides are never shorter than this share of the whole: stationary points closer than that are alike in Phi."""

LARGEST_EXPONENT = 30.0
"""Of the growth that bounds are asked for: beyond it they prove nothing."""


class Local(NamedTuple):
    """Phi' and Phi'' at one RL time, and what bounds them after it: moments of the reward about its mean, by prompt."""

    slope: float
    curvature: float
    headroom: Float[np.ndarray, "prompt"]  # top - R_x
    second: Float[np.ndarray, "prompt"]
    third: Float[np.ndarray, "prompt"]  # absolute
    fourth: Float[np.ndarray, "prompt"]


class TradeoffPath:
    """Phi along the RL path: the table of rewards is prepared once, then a time costs one pass over it.

    Rewards are counted in units of their `width`, the widest range within a prompt, so that none is too large for its
    fourth power: RL times in here are times `width`, and `exchange_rate` and slopes are over it.
    """

    def __init__(self, problem: FiniteProblem, exchange_rate: float) -> None:
        self.problem = problem = _without_weightless(problem)
        gap = below_top(problem)
        self.width = float(-gap.min())
        unit = self.width or 1.0
        self.gap, self.exchange_rate = gap / unit, exchange_rate / unit
        below = (top_reward(problem)[:, None] - problem.reward) / unit
        self.expert_shortfall = float(over_prompts(problem, (problem.expert * below).sum(axis=-1)))
        self.start_gap = reward_difference(problem, problem.reference, problem.expert) / unit
        self.start_mean = (problem.reference * self.gap).sum(axis=-1, keepdims=True)

    @property
    def is_flat(self) -> bool:
        """Whether the reward varies nowhere on the reference's support: then nothing moves."""
        return self.width == 0.0

    @property
    def rises_for_ever(self) -> bool:
        """Whether SFT loss is worth nothing, or the expert perfect."""
        return self.exchange_rate == 0.0 or self.expert_shortfall * self.width <= reward_tolerance(self.problem)

    @property
    def falls_at_the_start(self) -> bool:
        """Whether RL time 0 is a maximum by itself."""
        start = self.at(0.0)
        return start.slope < 0.0 or (start.slope == 0.0 and start.curvature < 0.0)

    def gain(self, rl_time: float) -> float:
        """Phi(tau) - Phi(0), in units of `width`, at a time as the crossings are given."""
        return self._rise(rl_time * self.width) - self.exchange_rate * sft_loss_increase(self.problem, rl_time)

    def at(self, rl_time: float) -> Local:
        """Phi around one RL time: one pass over the table; the slope to the last digits is `slope_at`."""
        policy, mean = self._policy_and_mean(rl_time)
        second, third, third_absolute, fourth = _moments(policy, self.gap - mean[:, None])
        variance = float(over_prompts(self.problem, second))
        return Local(
            slope=variance - self.exchange_rate * (self.expert_shortfall + float(over_prompts(self.problem, mean))),
            curvature=float(over_prompts(self.problem, third)) - self.exchange_rate * variance,
            headroom=-mean,
            second=second,
            third=third_absolute,
            fourth=fourth,
        )

    def slope_at(self, rl_time: float) -> float:
        """Phi', the parity gap counted from where the expert is nearer: the start or the best reward."""
        local = self.at(rl_time)
        if abs(self.start_gap) >= self.expert_shortfall:
            return local.slope
        variance = float(over_prompts(self.problem, local.second))
        return variance - self.exchange_rate * (self.start_gap + self._rise(rl_time))

    def downward_crossings(self) -> Iterator[float]:
        """Every RL time (of the problem itself) at which Phi' passes from plus to minus."""
        time, end = 0.0, self._end()
        finest = stride = FINEST_STRIDE * end
        here = self.at(time)
        while time < end:
            stride = self._clear_stride(here, min(stride, end - time), finest)
            there = self.at(time + stride)
            if here.slope > 0.0 >= there.slope:
                yield self._root_between(time, time + stride) / self.width
            time, here = time + stride, there

    def _clear_stride(self, local: Local, stride: float, finest: float) -> float:
        """About the longest stride after `local` in which Phi' changes sign once at most, sought from `stride`."""
        while self._is_clear(local, 2.0 * stride):
            stride *= 2.0
        while stride > finest and not self._is_clear(local, stride):
            stride *= 0.5
        return max(stride, finest)

    def _is_clear(self, local: Local, stride: float) -> bool:
        """Whether bounds prove that Phi' is monotone for `stride` after `local`, or keeps its sign.

        A step of h along the path multiplies no probability by more than e^{h (top - R_x)} (Jensen), so that bounds any
        moment about the old mean; the mean itself moves by the integral of V. The derivative of Phi'' is at most E_x
        max(m4, 3 m2^2) + lambda m3 in size, of absolute central moments.
        """
        exponent = local.headroom * stride
        if exponent.max() > LARGEST_EXPONENT:
            return False
        growth = np.exp(exponent)
        span = np.divide(np.expm1(exponent), local.headroom, out=np.full_like(growth, stride), where=exponent > 0.0)
        shift = local.second * span
        with np.errstate(over="ignore"):  # a bound of inf proves nothing
            third = (np.cbrt(local.third * growth) + shift) ** 3
            fourth = ((local.fourth * growth) ** 0.25 + shift) ** 4
            jerk = np.maximum(fourth, 3.0 * (local.second * growth) ** 2) + self.exchange_rate * third
            bend = stride * float(over_prompts(self.problem, jerk))
        if abs(local.curvature) > bend:
            return True
        towards_zero = -local.curvature if local.slope > 0.0 else local.curvature
        return abs(local.slope) > stride * (max(0.0, towards_zero) + 0.5 * bend)

    def _end(self) -> float:
        """An RL time after which Phi falls for ever: V <= E_x top - R, so Phi' < 0 once that shortfall is small."""
        small = self.exchange_rate * self.expert_shortfall / (1.0 + self.exchange_rate)
        end = 1.0
        while self._shortfall(end) >= small:
            end *= 2.0
        return end

    def _root_between(self, low: float, high: float) -> float:
        """Where Phi' is 0; an end, if its sign there was rounding."""
        if self.slope_at(low) <= 0.0:
            return low
        return high if self.slope_at(high) > 0.0 else root_between(self.slope_at, low, high)

    def _rise(self, rl_time: float) -> float:
        """R(pi_tau) - R(reference) = E_ref[d (e^{tau d} - 1)] / E_ref e^{tau d}, d the deviation from the start's mean.

        No term is negative, so that a small rise keeps its digits.
        """
        deviation, reference = self.gap - self.start_mean, self.problem.reference
        if rl_time < 1.0:
            moved = np.expm1(rl_time * deviation)
            mass = 1.0 + np.einsum("xy,xy->x", reference, moved)
        else:  # counted from the best reward, not to overflow
            moved = np.exp(rl_time * self.gap)
            mass = np.einsum("xy,xy->x", reference, moved)
            moved -= np.exp(rl_time * self.start_mean)
        moved *= deviation
        return float(over_prompts(self.problem, np.einsum("xy,xy->x", reference, moved) / mass))

    def _shortfall(self, rl_time: float) -> float:
        """E_x top - R(pi_tau)."""
        return -float(over_prompts(self.problem, self._policy_and_mean(rl_time)[1]))

    def _policy_and_mean(
        self, rl_time: float
    ) -> tuple[Float[np.ndarray, "prompt response"], Float[np.ndarray, "prompt"]]:
        """pi_tau, and its mean reward counted from the best one."""
        policy = np.exp(rl_time * self.gap)
        policy *= self.problem.reference
        policy /= policy.sum(axis=-1, keepdims=True)
        return policy, np.einsum("xy,xy->x", policy, self.gap)


def _without_weightless(problem: FiniteProblem) -> FiniteProblem:
    """Without the prompts of weight 0: nothing that they hold may bound a stride."""
    counts = problem.prompts > 0.0
    tables = (problem.reference, problem.expert, problem.reward)
    return problem if counts.all() else FiniteProblem(problem.prompts[counts], *(table[counts] for table in tables))


def _moments(
    policy: Float[np.ndarray, "prompt response"], deviation: Float[np.ndarray, "prompt response"]
) -> tuple[Float[np.ndarray, "prompt"], ...]:
    """By prompt, about the mean: the second, third, absolute third and fourth moment. Spoils both tables."""
    policy *= deviation
    policy *= deviation
    second, third = policy.sum(axis=-1), np.einsum("xy,xy->x", policy, deviation)
    np.abs(deviation, out=deviation)
    third_absolute = np.einsum("xy,xy->x", policy, deviation)
    deviation *= deviation
    return second, third, third_absolute, np.einsum("xy,xy->x", policy, deviation)
