"""D10: what SFT and RL one after the other, each for its best duration, leave on the table against D9's optimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError, unknown_name
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.distributional.tradeoff import optimal_rl_time
from interlace.theory.finite import FiniteProblem, below_top, over_prompts, prompt_reward
from interlace.theory.frontier.joint import shortfall, solve_joint
from interlace.theory.paths.sft_weight import optimal_sft_weight
from interlace.theory.roots import root_between

FINE_STEP, FINE_UNTIL, COARSE_FACTOR = 0.5, 40.0, 1.1
"""The search over RL times: even steps in units of 1/range of reward, then a geometric sequence."""

SMALL_SHARE = 1.0 / 16.0
"""Before the even steps times double from this share of 1/lambda, where RL from the expert itself is best."""

LARGEST_EXPONENT = 750.0
"""exp(-this) is 0 in float64: the tilt has arrived."""


class Pipeline(NamedTuple):
    """D10: the best durations of one order, and the `price` (reward units) that even they leave on the table.

    `sft_weight` w is the mixture weight of the SFT stage: SFT time -log(1 - w), 1 is SFT to the end (A8).
    """

    rl_time: float
    sft_weight: float
    price: float


def price_of_decoupling(problem: FiniteProblem, exchange_rate: float, order: str) -> float:
    """D10: D9's regret of SFT then RL ("sft_rl") or RL then SFT ("rl_sft") at its best durations, reward units, >= 0.

    "sft_rl": SFT to the expert itself, then RL for the best of all times. "rl_sft": RL for tau in [0, inf] from the
    reference, then SFT of weight w in [0, 1], both best. See `best_pipeline`.

    Raises DataError if `exchange_rate` is not positive and finite, or `order` is neither.
    """
    return best_pipeline(problem, exchange_rate, order).price


def best_pipeline(problem: FiniteProblem, exchange_rate: float, order: str) -> Pipeline:
    """D10: the best durations of `order`, with their price.

    "sft_rl" is exact (A6's global optimum from the expert). In "rl_sft" the weight is exact for every time (D8), but
    the best time is sought: 0, doublings from 1/(16 lambda), even steps of 1/2 up to 40 (in units of one over the range
    of reward), a geometric sequence until the tilt has arrived, and inf; every downward crossing of the slope between
    two of them is solved for. Two optima closer than that may be taken for one: then the price is too high by what they
    differ.

    Raises DataError as `price_of_decoupling`. Cost of "rl_sft": some thousand passes over the table.
    """
    if order not in ORDERS:
        raise DataError(unknown_name("order", order, ORDERS) + " Say which stage comes first.")
    return ORDERS[order](problem, exchange_rate)


def _sft_then_rl(problem: FiniteProblem, exchange_rate: float) -> Pipeline:
    optimum = solve_joint(problem, exchange_rate)
    from_expert = replace(problem, reference=problem.expert)
    rl_time = optimal_rl_time(from_expert, exchange_rate)
    policy = tilted_policy(from_expert, rl_time)
    return Pipeline(rl_time, 1.0, shortfall(problem, policy, exchange_rate, optimum))


def _rl_then_sft(problem: FiniteProblem, exchange_rate: float) -> Pipeline:
    path = _SftAfterRl(problem, exchange_rate)
    found = [path.at(rl_time) for rl_time in _search_times(problem, exchange_rate)]
    turns = [
        path.turn_between(before.rl_time, after.rl_time, 1.0 if rising == 0.0 else -1.0)
        for (before, rising), (after, falling) in pairwise(found[:-1])
        if rising >= 0.0 >= falling and rising > falling
    ]
    return min([pipeline for pipeline, _ in found] + turns, key=lambda pipeline: pipeline.price)


class _SftAfterRl:
    """The pipeline of each RL time with its best SFT."""

    def __init__(self, problem: FiniteProblem, exchange_rate: float) -> None:
        self.problem, self.exchange_rate = problem, exchange_rate
        self.optimum = solve_joint(problem, exchange_rate)

    def at(self, rl_time: float) -> tuple[Pipeline, float]:
        """The pipeline, and how fast more RL lowers its price: 0 where SFT runs to the expert itself."""
        problem, exchange_rate = self.problem, self.exchange_rate
        policy = tilted_policy(problem, rl_time)
        with np.errstate(over="ignore"):  # a far tilt has next to nothing where the expert has much
            weight = optimal_sft_weight(problem, policy, exchange_rate)
        mixed = (1.0 - weight) * policy + weight * problem.expert
        price = shortfall(problem, mixed, exchange_rate, self.optimum)
        return Pipeline(rl_time, weight, price), (1.0 - weight) * _gain_rate(problem, exchange_rate, policy, mixed)

    def turn_between(self, low: float, high: float, side: float) -> Pipeline:
        """Where the price stops falling. `side`: what counts as the sign of a slope of 0.

        No price is above that of SFT to the expert itself, where the slope is 0: it fell from there (1) or rises to it.
        """
        return self.at(root_between(lambda rl_time: self.at(rl_time)[1] or side, low, high))[0]


def _search_times(problem: FiniteProblem, exchange_rate: float) -> Iterator[float]:
    """Where `best_pipeline` looks: 0, ..., inf. Only 0 if the reward is flat."""
    yield 0.0
    below = -below_top(problem)[problem.prompts > 0.0]
    if not below.any():
        return
    widest, arrived = float(below.max()), LARGEST_EXPONENT / float(below[below > 0.0].min())
    even = np.arange(FINE_STEP, FINE_UNTIL, FINE_STEP) / widest
    doublings = max(0, math.ceil(math.log2(FINE_STEP / widest * exchange_rate / SMALL_SHARE)))
    coarse = math.ceil(math.log(arrived * widest / FINE_UNTIL) / math.log(COARSE_FACTOR))
    yield from (SMALL_SHARE / exchange_rate * 2.0 ** np.arange(doublings)).tolist()
    yield from even.tolist()
    yield from (FINE_UNTIL / widest * COARSE_FACTOR ** np.arange(coarse)).tolist()
    yield math.inf


def _gain_rate(
    problem: FiniteProblem,
    exchange_rate: float,
    policy: Float[np.ndarray, "prompt response"],
    mixed: Float[np.ndarray, "prompt response"],
) -> float:
    """d(R - lambda L)/dtau of pi_tau = `policy` itself moving, read where SFT has made `mixed` of it."""
    given = (problem.expert > 0.0) & (mixed > 0.0)
    value = np.divide(exchange_rate * problem.expert, mixed, out=np.zeros_like(mixed), where=given) + problem.reward
    motion = policy * (problem.reward - prompt_reward(problem, policy)[:, None])  # d pi_tau/dtau
    return float(over_prompts(problem, (motion * value).sum(axis=-1)))


ORDERS: dict[str, Callable[[FiniteProblem, float], Pipeline]] = {"sft_rl": _sft_then_rl, "rl_sft": _rl_then_sft}
