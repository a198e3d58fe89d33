"""D8: the worst that any SFT can do to RL's reward at a given distance: RL walked back along its own path."""

from __future__ import annotations

import math
from typing import NamedTuple

from interlace.errors import DataError
from interlace.theory.distributional.tilt import tilt_of, tilted_policy, tilted_reward
from interlace.theory.finite import FiniteProblem, kl, over_prompts, reward_range
from interlace.theory.roots import increasing_root


class WalkedBack(NamedTuple):
    """D8: the tilt `rl_time` = tau - a with the least `reward` at a given KL from pi_tau; -inf: all reward is lost."""

    rl_time: float
    reward: float


def least_reward(problem: FiniteProblem, rl_time: float, divergence: float) -> WalkedBack:
    """D8: the least reward of any policy with KL(pi, pi_tau) <= `divergence` nats, and the tilt that has it.

    It is pi_{tau - a} with KL(pi_{tau - a}, pi_tau) = `divergence`: further back than the start (tau - a < 0) if need
    be. From E_x[-log pi_tau(worst responses)] nats on, the worst responses are all that is left. So no SFT that moves
    the policy by so much, whatever its data, can cost more than R(pi_tau) - `reward`.

    Raises DataError if `rl_time` is not finite or `divergence` is negative.

    >>> import numpy as np
    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> least_reward(problem, 0.0, 0.1).reward < 0.5, least_reward(problem, 0.0, 1.0)
    (True, WalkedBack(rl_time=-inf, reward=0.0))
    """
    if not math.isfinite(rl_time):
        raise DataError(
            f"rl_time must be finite. Got {rl_time}. At the end of the path there is nothing to walk back to."
        )
    if not divergence >= 0.0:
        raise DataError(f"divergence must be at least 0. Got {divergence}. Give KL(pi, pi_tau) in nats.")
    end = tilted_policy(problem, rl_time)
    back = FiniteProblem(problem.prompts, end, problem.expert, problem.reward)
    most = -float(over_prompts(back, tilt_of(back, -math.inf).log_mass))
    if divergence >= most and divergence > 0.0:
        return WalkedBack(-math.inf, tilted_reward(problem, -math.inf))
    width = reward_range(problem)
    if divergence == 0.0 or width == 0.0:
        return WalkedBack(rl_time, tilted_reward(problem, rl_time))

    def excess(steps_back: float) -> float:
        return kl(back, tilted_policy(back, -steps_back), end) - divergence

    there = rl_time - increasing_root(excess, 0.0, 1.0 / width)
    return WalkedBack(there, tilted_reward(problem, there))
