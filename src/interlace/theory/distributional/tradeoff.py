"""A6: the tradeoff Phi(tau) = R(pi_tau) - lambda L(pi_tau), and how long RL should run for it.

lambda = `exchange_rate` >= 0: reward units that a nat of SFT loss is worth. Phi may rise and fall several times.
"""

from __future__ import annotations

import math

import numpy as np

from interlace.theory.checks import check_exchange_rate
from interlace.theory.distributional.increase import sft_loss_increase, sft_loss_slope
from interlace.theory.distributional.tilt import Times, like, tilted_reward, tilted_reward_variance
from interlace.theory.distributional.tradeoff_path import TradeoffPath
from interlace.theory.finite import FiniteProblem, sft_loss


def tradeoff(problem: FiniteProblem, exchange_rate: float, rl_time: Times) -> Times:
    """A6: Phi = R(pi_tau) - lambda L(pi_tau), reward units; -inf where L is infinite and lambda is not 0.

    Raises DataError if `exchange_rate` is negative or not finite.
    """
    check_exchange_rate(exchange_rate)
    reward = np.asarray(tilted_reward(problem, rl_time))
    if exchange_rate == 0.0:
        return like(rl_time, reward)
    loss = sft_loss(problem, problem.reference) + np.asarray(sft_loss_increase(problem, rl_time))
    return like(rl_time, reward - exchange_rate * loss)


def tradeoff_slope(problem: FiniteProblem, exchange_rate: float, rl_time: Times) -> Times:
    """A6: Phi' = V(pi_tau) - lambda (R(pi_tau) - R_D), reward units per RL time. Positive: more RL is worth its cost.

    Both terms come from on-policy rewards: the variance within groups, their mean, and R_D measured once. Raises
    DataError if `exchange_rate` is negative or not finite.
    """
    check_exchange_rate(exchange_rate)
    gap = np.asarray(sft_loss_slope(problem, rl_time))
    return like(rl_time, np.asarray(tilted_reward_variance(problem, rl_time)) - exchange_rate * gap)


def optimal_rl_time(problem: FiniteProblem, exchange_rate: float) -> float:
    """A6: the RL time of greatest Phi over [0, inf]: the best of 0 and of every downward crossing of Phi'.

    0 if the reward is flat; inf if `exchange_rate` is 0 or R_D is all that the reference's support can earn. The first
    of two equally good ones. A run that stops at the first downward crossing that it meets has stopped locally: it
    cannot know of a better one behind it.

    Cost: some tens of passes over the table; memory linear in it. Raises DataError if `exchange_rate` is negative or
    not finite.

    One prompt, pass rate 1/2, expert at .5, lambda = 1: p (1 - p) = p - 1/2 at p = 1/sqrt(2).

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> bool(np.isclose(optimal_rl_time(problem, 1.0), -math.log(math.sqrt(2) - 1)))
    True
    """
    check_exchange_rate(exchange_rate)
    path = TradeoffPath(problem, exchange_rate)
    if path.is_flat:
        return 0.0
    if path.rises_for_ever:
        return math.inf
    times = np.array([0.0, *sorted(path.downward_crossings())])
    return float(times[int(np.argmax([path.gain(rl_time) for rl_time in times.tolist()]))])


def tradeoff_is_unimodal(problem: FiniteProblem, exchange_rate: float) -> bool:
    """A6: whether Phi has one maximum over [0, inf], so that no better one can lie behind a local stop.

    Decided by counting. Enough by themselves: lambda above the range of reward within every prompt; or one prompt and
    binary reward. True if the reward is flat. Raises DataError if `exchange_rate` is negative or not finite.
    """
    check_exchange_rate(exchange_rate)
    path = TradeoffPath(problem, exchange_rate)
    if path.is_flat or path.rises_for_ever:
        return True
    return path.falls_at_the_start + sum(1 for _ in path.downward_crossings()) == 1
