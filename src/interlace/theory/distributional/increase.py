"""A1 to A5 along the RL path: what it does to SFT loss, and how fast.

The increases need L(reference) finite (A's condition). They are computed from laws of reward alone, so a problem lumped
by reward will do, and the caller answers for the condition.
"""

from __future__ import annotations

import numpy as np

from interlace.theory.distributional.tilt import Times, like, tilt_of
from interlace.theory.finite import FiniteProblem, expected_reward, over_prompts, reward_difference


def sft_loss_increase(problem: FiniteProblem, rl_time: Times) -> Times:
    """A1: L(pi_tau) - L(reference) = E_x log Z_tau(x) - tau R_D, nats per response. Positive: RL raised SFT loss.

    Example: one prompt, pass rate 1/2, a perfect expert; at the end of the path all mass is on the right answer.

    >>> import math
    >>> problem = FiniteProblem(*map(np.array, ([1.0], [[0.5, 0.5]], [[0.0, 1.0]], [[0.0, 1.0]])))
    >>> bool(np.isclose(sft_loss_increase(problem, math.inf), -math.log(2)))
    True
    """
    tilt = tilt_of(problem, rl_time)
    slack = over_prompts(problem, (problem.expert * (tilt.anchor[..., None] - problem.reward)).sum(axis=-1))
    drift = np.multiply(rl_time, slack, out=np.zeros_like(slack), where=slack != 0.0)
    return like(rl_time, drift + over_prompts(problem, tilt.log_mass))


def optimal_sft_increase(problem: FiniteProblem, rl_time: Times) -> Times:
    """A2: the increase when RL starts from the expert itself (perfect SFT): KL(p_D, pi_tau) >= 0, nats per response.

    The problem's reference is not used. Zero iff the reward is constant on the expert's support, prompt by prompt.
    """
    return sft_loss_increase(FiniteProblem(problem.prompts, problem.expert, problem.expert, problem.reward), rl_time)


def sft_loss_increase_lower_bound(problem: FiniteProblem, rl_time: Times) -> Times:
    """A3: tau (R(reference) - R_D), never above A1's increase; tau >= 0. Equal iff tau = 0 or the reward is flat."""
    gap = reward_difference(problem, problem.reference, problem.expert)
    return like(rl_time, np.multiply(rl_time, gap) if gap else np.zeros(np.shape(rl_time)))


def sft_loss_slope(problem: FiniteProblem, rl_time: Times) -> Times:
    """A4, the reward parity law: dL/dtau = R(pi_tau) - R_D, the parity gap. Negative: RL is still lowering SFT loss."""
    tilt = tilt_of(problem, rl_time)  # both rewards counted from one anchor: an offset costs no digits
    above = (tilt.policy * tilt.gap).sum(axis=-1)
    below = (problem.expert * (tilt.anchor[..., None] - problem.reward)).sum(axis=-1)
    return like(rl_time, over_prompts(problem, above + below))


def free_energy(problem: FiniteProblem, rl_time: Times) -> Times:
    """A5: F(tau) = E_x log Z_tau(x) / tau, reward units; from R(reference) at 0 up to E_x top(x) at infinity."""
    tilt = tilt_of(problem, rl_time)
    tau = np.asarray(rl_time, dtype=np.float64)
    start = np.full(tau.shape, expected_reward(problem, problem.reference))
    log_mass = over_prompts(problem, tilt.log_mass)
    rise = np.divide(log_mass, tau, out=np.zeros_like(log_mass), where=tau != 0.0)
    return like(rl_time, np.where(tau == 0.0, start, over_prompts(problem, tilt.anchor) + rise))
