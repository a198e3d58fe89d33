"""D2: what RL gains and what SFT costs, a nat of SFT loss, where one geometry serves both (tabular Fisher).

In any parametrisation and under any symmetric preconditioner common to both, dL/dt under RL is -dR/dt under SFT. With
the tabular Fisher matrix both are R - R_D, the squared gradients V(pi) and X2(p_D, pi).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.theory.finite import FiniteProblem, chi_square, over_prompts, reward_difference
from interlace.theory.paths.rates import centred

ROUNDING = 8 * 2.0**-52
"""Differences of rewards below this share of the rewards are rounding, not a price's denominator."""


def reward_per_nat(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """D2: V/(R - R_D), the reward that natural-gradient RL gains for each nat by which it raises SFT loss.

    Meant for R > R_D. Negative (R < R_D): RL raises the reward and lowers SFT loss. inf at parity: reward is free; NaN
    if moreover the reward is flat under the policy. Above parity it is never below `sft_cost_per_nat`.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]]), np.array([[0.0, 1.0]]))
    >>> reward_per_nat(problem, problem.reference), sft_cost_per_nat(problem, problem.reference)
    (1.0, 1.0)
    """
    gap, variance = _gap(problem, policy), _variance(problem, policy)
    if gap == 0.0:
        return math.inf if variance > 0.0 else math.nan
    return variance / gap


def sft_cost_per_nat(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """D2: (R - R_D)/X2(p_D, policy), the reward that natural-gradient SFT loses for each nat of SFT loss it gains.

    Meant for R > R_D. Negative (R < R_D): SFT raises the reward as well. 0 at parity, and where the policy misses the
    expert (X2 = inf). NaN at the expert itself.
    """
    distance = chi_square(problem, problem.expert, policy)
    if math.isinf(distance):
        return 0.0
    return _gap(problem, policy) / distance if distance > 0.0 else math.nan


def _gap(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """R - R_D; exactly 0 if it is within rounding of it, so that parity has no sign."""
    size = over_prompts(problem, ((policy + problem.expert) * np.abs(problem.reward)).sum(axis=-1))
    gap = reward_difference(problem, policy, problem.expert)
    return gap if abs(gap) > ROUNDING * size else 0.0


def _variance(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """V; exactly 0 if the reward is flat under the policy."""
    return float(over_prompts(problem, (policy * np.square(centred(policy, problem.reward))).sum(axis=-1)))
