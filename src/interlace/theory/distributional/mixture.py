"""A8: the path of natural-gradient SFT, the mixture line pi_s = p_D + e^{-s} (start - p_D)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.distributional.rl_times import reward_tolerance
from interlace.theory.distributional.tilt import Times, like
from interlace.theory.finite import FiniteProblem, reward_difference


def sft_path(
    problem: FiniteProblem, start: Float[np.ndarray, "prompt response"], sft_time: Times
) -> Float[np.ndarray, "*time prompt response"]:
    """A8: the mixture line pi_s = p_D + e^{-s} (start - p_D) of natural-gradient SFT, s = `sft_time` >= 0.

    Condition: the start's support holds the expert's.
    """
    s = np.asarray(sft_time, dtype=np.float64)[..., None, None]
    return np.exp(-s) * start - np.expm1(-s) * problem.expert


def sft_path_reward(problem: FiniteProblem, start: Float[np.ndarray, "prompt response"], sft_time: Times) -> Times:
    """A8: R(pi_s) = R_D + e^{-s} (R(start) - R_D). SFT lowers reward iff the start earns more than the expert."""
    gap = reward_difference(problem, start, problem.expert)
    return like(sft_time, problem.expert_reward + np.exp(-np.asarray(sft_time)) * gap)


def largest_sft_time(problem: FiniteProblem, start: Float[np.ndarray, "prompt response"], allowed_drop: float) -> float:
    """A8: how long SFT may run from `start` and lose at most `allowed_drop` >= 0 of reward; inf if it never loses that.

    Raises DataError if `allowed_drop` is negative.
    """
    if not allowed_drop >= 0.0:
        raise DataError(f"allowed_drop must be at least 0. Got {allowed_drop}. Give the reward that SFT may cost.")
    gap = reward_difference(problem, start, problem.expert)
    same = reward_tolerance(problem)
    return math.inf if allowed_drop >= gap - same else abs(math.log1p(-allowed_drop / gap))
