"""D8: how far SFT should go after RL, on the mixture line between the policy and the expert."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.theory.checks import check_exchange_rate
from interlace.theory.finite import FiniteProblem, over_prompts, reward_difference
from interlace.theory.roots import root_between


def optimal_sft_weight(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], exchange_rate: float
) -> float:
    """D8: the weight w in [0, 1] at which pi_w = (1 - w) policy + w p_D has the greatest R - lambda L.

    R - lambda L is concave in w, its slope lambda [M + (1 - w) E_x sum (policy - p_D)^2 / pi_w] - (R(policy) - R_D),
    the sum over the expert's support, M = E_x of the policy's mass outside it. So w = 1 iff R(policy) - R_D <=
    lambda M (if the expert earns no less, for one); else w = 0 iff lambda X2(p_D, policy) <= R(policy) - R_D; else
    both balance where lambda X2(p_D, pi_w) = R(pi_w) - R_D. The SFT time is s = -log(1 - w) (A8).

    Raises DataError if `exchange_rate` is negative or not finite.

    A policy that is always right, an expert that is right half the time, lambda = 1: w = 2 - sqrt(2).

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> bool(np.isclose(optimal_sft_weight(problem, np.array([[0.0, 1.0]]), 1.0), 2.0 - math.sqrt(2.0)))
    True
    """
    check_exchange_rate(exchange_rate)
    given_up = reward_difference(problem, policy, problem.expert)
    covered = problem.expert > 0.0
    outside = float(over_prompts(problem, np.where(covered, 0.0, policy).sum(axis=-1)))
    square = np.where(covered, np.square(policy - problem.expert), 0.0)

    def excess(left: float) -> float:
        """What more SFT costs above what it is worth, where `left` = 1 - w of the policy is left; falls with it."""
        mixed = left * policy + (1.0 - left) * problem.expert
        with np.errstate(over="ignore"):  # the policy may all but miss the expert
            ratio = np.divide(square, mixed, out=np.where(square > 0.0, math.inf, 0.0), where=mixed > 0.0)
        spread = float(over_prompts(problem, ratio.sum(axis=-1)))
        return given_up - exchange_rate * (outside + left * spread)

    if given_up <= exchange_rate * outside:
        return 1.0
    return 0.0 if exchange_rate == 0.0 or excess(1.0) >= 0.0 else 1.0 - root_between(excess, 0.0, 1.0)
