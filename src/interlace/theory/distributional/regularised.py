"""A7: what any move away from the optimum of KL-regularised RL costs of what RL maximised."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.theory.checks import check_positive
from interlace.theory.distributional.tilt import log_partition, tilt_of
from interlace.theory.finite import FiniteProblem, expected_reward, kl, over_prompts

NO_OPTIMUM = "Without a KL term RL has no optimum."


def regularised_reward(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], kl_coefficient: float
) -> float:
    """J(policy) = R(policy) - beta KL(policy, reference), reward units; beta = `kl_coefficient` > 0.

    -inf for a policy that leaves the reference's support. Raises DataError if `kl_coefficient` is not positive.
    """
    check_positive("kl_coefficient", kl_coefficient, NO_OPTIMUM)
    return expected_reward(problem, policy) - kl_coefficient * kl(problem, policy, problem.reference)


def optimal_regularised_reward(problem: FiniteProblem, kl_coefficient: float) -> float:
    """A7: the greatest J there is, beta E_x log Z_tau(x) at tau = 1/beta, reward units; pi_tau alone earns it."""
    check_positive("kl_coefficient", kl_coefficient, NO_OPTIMUM)
    return kl_coefficient * float(over_prompts(problem, log_partition(problem, 1.0 / kl_coefficient)))


def regularised_reward_loss(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], kl_coefficient: float
) -> float:
    """A7: J(pi_tau) - J(policy) = beta KL(policy, pi_tau) >= 0 at tau = 1/beta, reward units, for every policy.

    What SFT after RL destroys of RL's objective; the reward itself may rise meanwhile (if R_D > R(pi_tau)). inf for a
    policy that leaves the reference's support. Raises DataError if `kl_coefficient` is not positive.

    All mass moved to one of two even responses, the reward flat: log 2 at beta = 1.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.zeros((1, 2)))
    >>> round(regularised_reward_loss(problem, np.array([[1.0, 0.0]]), 1.0), 12)
    0.69314718056
    """
    check_positive("kl_coefficient", kl_coefficient, NO_OPTIMUM)
    rl_time = 1.0 / kl_coefficient
    tilt = tilt_of(problem, rl_time)
    held = policy > 0.0
    from_start = np.divide(policy, problem.reference, out=np.full(policy.shape, math.inf), where=problem.support)
    # log(policy/pi_tau) from its parts: pi_tau itself underflows where beta is small.
    log_ratio = np.log(from_start, out=np.zeros(policy.shape), where=held) - rl_time * tilt.gap + tilt.log_mass[:, None]
    # x log(x/y) - x + y is never negative, term by term.
    terms = np.where(held, policy * log_ratio - policy, 0.0) + tilt.policy
    return kl_coefficient * max(0.0, float(over_prompts(problem, terms.sum(axis=-1))))
