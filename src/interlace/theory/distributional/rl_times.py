"""RL times that answer a question: where SFT loss is least, where it is back at its start, which tilt a policy is near.

Roots are found to the last digits, counted from the best reward, so that nothing is lost to cancellation near the top.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.theory.distributional.tilt import tilt_of
from interlace.theory.finite import (
    FiniteProblem,
    expected_reward,
    over_prompts,
    reward_difference,
    reward_range,
    top_reward,
)
from interlace.theory.roots import increasing_root

SAME_REWARD = 1e-12
"""Two rewards closer than this, relative to the rewards' size, count as equal (is the expert perfect?)."""


def parity_rl_time(problem: FiniteProblem) -> float:
    """A4: the RL time at which SFT loss is least: where R(pi_tau) = R_D, the tilt nearest to the expert.

    0 if the reference already earns R_D; inf if R_D is all that the reference's support can earn (perfect expert).
    """
    if _shortfall(problem, problem.expert) <= reward_tolerance(problem) and reward_range(problem) > 0.0:
        rises = reward_difference(problem, problem.expert, problem.reference) > 0.0
        return math.inf if rises else 0.0
    return max(0.0, nearest_rl_time(problem, problem.expert))


def non_decoupling_threshold(problem: FiniteProblem) -> float:
    """A5: the RL time from which SFT loss stays above its start: the root of F(tau) = R_D.

    0 if the reference already earns R_D; inf for a perfect expert; else above `parity_rl_time`.
    """
    parity = parity_rl_time(problem)
    if parity in (0.0, math.inf):
        return parity
    shortfall = _shortfall(problem, problem.expert)

    def excess(rl_time: float) -> float:  # F(tau) - R_D
        return shortfall + float(over_prompts(problem, tilt_of(problem, rl_time).log_mass)) / rl_time

    return increasing_root(excess, parity, parity)


def perfect_expert_limit(problem: FiniteProblem) -> float:
    """A5: what RL takes off the SFT loss of a perfect expert in all: E_x[-log reference(best responses)] >= 0, nats.

    A figure of the reference and the reward alone; it is the loss's total fall only if R_D = E_x top(x).
    """
    return -float(over_prompts(problem, tilt_of(problem, math.inf).log_mass))


def matching_rl_time(problem: FiniteProblem, reward: float) -> float:
    """The tau in [-inf, inf] with R(pi_tau) = `reward`: the tilt nearest in KL to any policy of that reward (A10).

    Infinite if `reward` is not strictly between what the reference's worst and best responses earn: no tilt reaches it.
    """
    highest = float(over_prompts(problem, top_reward(problem)))
    lowest = -float(over_prompts(problem, top_reward(_mirrored(problem))))
    same = reward_tolerance(problem)  # a figure of reward has been rounded
    shortfall, surplus = (0.0 if left <= same else left for left in (highest - reward, reward - lowest))
    return _time_earning(problem, reward - expected_reward(problem, problem.reference), shortfall, surplus)


def nearest_rl_time(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """A10: the tau of the tilt nearest to `policy` in KL(policy, pi_tau): `matching_rl_time` of its reward.

    Keeps digits where the reward of the policy is close to the best one; infinite only if it is exactly that.
    """
    surplus = _shortfall(_mirrored(problem), policy)
    rise = reward_difference(problem, policy, problem.reference)
    return _time_earning(problem, rise, _shortfall(problem, policy), surplus)


def _time_earning(problem: FiniteProblem, rise: float, shortfall: float, surplus: float) -> float:
    """The tau with R(pi_tau) `rise` above the reference's, `shortfall` below E_x top, `surplus` above the least."""
    if abs(rise) <= (0.0 if reward_range(problem) > 0.0 else reward_tolerance(problem)):
        return 0.0
    return _time_to_shortfall(problem, shortfall) if rise > 0.0 else -_time_to_shortfall(_mirrored(problem), surplus)


def _mirrored(problem: FiniteProblem) -> FiniteProblem:
    """The reward's sign turned: the path in the other direction."""
    return FiniteProblem(problem.prompts, problem.reference, problem.expert, -problem.reward)


def _shortfall(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """E_x top - R(policy), without cancellation."""
    gap = top_reward(problem)[:, None] - problem.reward
    return float(over_prompts(problem, (policy * gap).sum(axis=-1)))


def _time_to_shortfall(problem: FiniteProblem, shortfall: float) -> float:
    """The tau > 0 at which E_x top - R(pi_tau) = `shortfall`, which must be below the reference's own; else inf.

    Solved in log shortfall, so that nothing is lost to cancellation near the top.
    """
    if shortfall <= 0.0:
        return math.inf

    def progress(rl_time: float) -> float:
        tilt = tilt_of(problem, rl_time)
        remaining = -float(over_prompts(problem, (tilt.policy * tilt.gap).sum(axis=-1)))
        return math.log(shortfall / max(remaining, 1e-300 * shortfall))

    return increasing_root(progress, 0.0, 1.0 / reward_range(problem))


def reward_tolerance(problem: FiniteProblem) -> float:
    """How far apart two mean rewards may be and count as the same, reward units."""
    return SAME_REWARD * float(over_prompts(problem, np.abs(problem.reward).max(axis=-1)))
