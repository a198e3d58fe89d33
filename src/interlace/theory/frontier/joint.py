"""D9: the policy of greatest R - lambda L, the front of reward against SFT loss, and what any policy falls short of it.

lambda = `exchange_rate` > 0: reward units that a nat of SFT loss is worth. Policies may use every response that the
reference or the expert can give ("allowed").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.theory.checks import check_exchange_rate
from interlace.theory.finite import FiniteProblem, expected_reward, over_prompts, sft_loss
from interlace.theory.frontier.balance import balance, rewards_from_expert

SERIES_BELOW = 0.1
"""Ratios closer to 1 than this take the series of log(1 + d)."""


class Front(NamedTuple):
    """D9: the front's points, one an exchange rate: reward (reward units) and SFT loss (nats per response)."""

    exchange_rate: Float[np.ndarray, "rate"]
    reward: Float[np.ndarray, "rate"]
    sft_loss: Float[np.ndarray, "rate"]


class JointOptimum(NamedTuple):
    """D9's policy and its `slack` nu - r: never negative on allowed responses, lambda p_D/policy on the expert's."""

    policy: Float[np.ndarray, "prompt response"]
    slack: Float[np.ndarray, "prompt response"]


def joint_optimum(problem: FiniteProblem, exchange_rate: float) -> Float[np.ndarray, "prompt response"]:
    """D9: the policy of greatest R - lambda L among all on the allowed responses: lambda p_D/(nu - r).

    nu(x) is above every reward of the expert's responses and makes the row sum to 1. If an allowed response that the
    expert never gives earns r_o > nu, then nu = r_o and the mass left over sits on it (ties in proportion to the
    reference: the optimum is unique but for them).

    Raises DataError if `exchange_rate` is not positive and finite. Cost: some ten passes over the table.

    One prompt, an even expert, rewards 0 and 1, lambda = 1: nu = 1 + 1/sqrt(2), pass rate 1/sqrt(2).

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> joint_optimum(problem, 1.0).round(12).tolist()
    [[0.292893218813, 0.707106781187]]
    """
    return solve_joint(problem, exchange_rate).policy


def joint_value(problem: FiniteProblem, exchange_rate: float) -> float:
    """D9: the greatest R - lambda L that any policy on the allowed responses has, reward units.

    Raises DataError if `exchange_rate` is not positive and finite.
    """
    policy = joint_optimum(problem, exchange_rate)
    return expected_reward(problem, policy) - exchange_rate * sft_loss(problem, policy)


def regret(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], exchange_rate: float) -> float:
    """D9: what `policy` falls short of the greatest R - lambda L, reward units; >= 0 on the allowed responses.

    Exact for ANY policy: E_x{lambda E_{p_D}[q - 1 - log q] + sum outside supp p_D of policy (nu - r)}, with
    q = policy/optimum; no difference of large numbers. inf if the policy misses a response of the expert.

    Raises DataError if `exchange_rate` is not positive and finite.
    """
    return shortfall(problem, policy, exchange_rate, solve_joint(problem, exchange_rate))


def front(problem: FiniteProblem, exchange_rates: Float[np.ndarray, "rate"]) -> Front:
    """D9: reward and SFT loss of the joint optimum at each of `exchange_rates`; all of (0, inf) is the whole front.

    Nothing has more reward at no more SFT loss. Its ends, never reached unless they are one point: the expert itself
    (rate inf), and only best responses (rate 0).

    Raises DataError if a rate is not positive and finite.
    """
    rates = np.asarray(exchange_rates, dtype=np.float64)
    policies = (joint_optimum(problem, rate) for rate in rates.tolist())
    points = [(expected_reward(problem, policy), sft_loss(problem, policy)) for policy in policies]
    reward, loss = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return Front(rates, reward, loss)


def solve_joint(problem: FiniteProblem, exchange_rate: float) -> JointOptimum:
    """D9's policy with nu - r; see `joint_optimum`."""
    check_exchange_rate(exchange_rate, positive=True)
    rewards = rewards_from_expert(problem)
    given = problem.expert > 0.0
    with np.errstate(over="ignore"):  # an infinite offset has no share
        offset = np.divide(rewards.gap, exchange_rate, out=np.ones_like(rewards.gap), where=given)
    margin = exchange_rate * balance(problem.expert, np.ones_like(offset), offset)  # nu - best
    left_over = rewards.lead > margin
    slack = np.where(left_over, rewards.lead, margin)[:, None] + rewards.gap
    policy = np.divide(exchange_rate * problem.expert, slack, out=np.zeros_like(slack), where=given)
    rest = np.where(left_over, np.maximum(1.0 - policy.sum(axis=-1), 0.0), 0.0)
    return JointOptimum(policy + rest[:, None] * rewards.share, slack)


def shortfall(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    exchange_rate: float,
    optimum: JointOptimum,
) -> float:
    """`regret` against an optimum that is already known."""
    given = problem.expert > 0.0
    excess = _ratio_above_its_log(np.where(given, policy, 1.0), np.where(given, optimum.policy, 1.0))
    terms = np.where(given, exchange_rate * problem.expert * excess, policy * optimum.slack)
    return float(over_prompts(problem, terms.sum(axis=-1)))


def _ratio_above_its_log(
    p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> Float[np.ndarray, "prompt response"]:
    """p/q - 1 - log(p/q) >= 0, q > 0; no digits are lost where p is close to q; inf where p is 0."""
    change = (p - q) / q
    near = np.where(np.abs(change) < SERIES_BELOW, change, 0.0)
    z = near / (2.0 + near)  # log(1 + d) = 2 artanh z, and d - 2 z = d z
    square = z * z
    artanh_rest = np.polynomial.polynomial.polyval(square, [1.0 / k for k in range(3, 17, 2)])
    with np.errstate(divide="ignore"):
        return np.where(near == change, near * z - 2.0 * z * square * artanh_rest, change - np.log(p / q))
