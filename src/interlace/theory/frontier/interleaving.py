"""D11: where many short rounds of RL and SFT settle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier.balance import balance, rewards_from_expert


class Cycle(NamedTuple):
    """D11: the policies that an endless alternation comes back to, after its SFT part and after its RL part."""

    after_sft: Float[np.ndarray, "prompt response"]
    after_rl: Float[np.ndarray, "prompt response"]


def interleaving_cycle(problem: FiniteProblem, rl_time: float, sft_weight: float) -> Cycle:
    """D11: the fixed point of RL for h = `rl_time`, then SFT of weight w = `sft_weight`: pi <- (1 - w) pi_h + w p_D.

    After SFT: w zeta p_D/(zeta - e^{hr}), zeta(x) > e^{hr} on the expert's responses making the row sum to 1; if an
    allowed response that the expert never gives has e^{h r_o} > zeta, then zeta = e^{h r_o} and the mass left over sits
    on it (ties in proportion to the reference, as from a start in it). After RL: the tilt of that by h.

    Converges from any start with full support on the allowed responses; where the expert has it too, by a factor of at
    most 1 - w p_D(best responses) a cycle.

    Raises DataError if `rl_time` is negative (inf is allowed), or `sft_weight` is not in (0, 1].

    One prompt, an even expert, rewards 0 and 1, h = log 2, w = 4/9: the pass rate is 2/3 after SFT, 4/5 after RL.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> cycle = interleaving_cycle(problem, float(np.log(2.0)), 4.0 / 9.0)
    >>> [round(float(policy[0, 1]), 12) for policy in cycle]
    [0.666666666667, 0.8]
    """
    _check(rl_time, sft_weight)
    after_sft = problem.expert if sft_weight == 1.0 else _after_sft(problem, rl_time, sft_weight)
    return Cycle(after_sft, _tilt(problem, after_sft, rl_time))


def _after_sft(problem: FiniteProblem, rl_time: float, sft_weight: float) -> Float[np.ndarray, "prompt response"]:
    rewards = rewards_from_expert(problem)
    given = problem.expert > 0.0
    fall = np.where(given, _times(rl_time, rewards.gap), 0.0)
    slope, offset = np.exp(-fall), -np.expm1(-fall)
    weight = sft_weight * problem.expert
    v = balance(weight, slope, offset)  # 1 - e^{h best}/zeta
    held = -np.expm1(-_times(rl_time, np.maximum(rewards.lead, 0.0)))
    left_over = held > v
    denominator = np.where(given, np.where(left_over, held, v)[:, None] * slope + offset, 1.0)
    rest = np.where(left_over, np.maximum(1.0 - (weight / denominator).sum(axis=-1), 0.0), 0.0)
    return weight / denominator + rest[:, None] * rewards.share


def _tilt(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], rl_time: float
) -> Float[np.ndarray, "prompt response"]:
    """`policy` after RL of that time."""
    best = np.where(policy > 0.0, problem.reward, -np.inf).max(axis=-1, keepdims=True)
    gap = np.where(policy > 0.0, best - problem.reward, 0.0)
    weight = policy * np.exp(-_times(rl_time, gap))
    return weight / weight.sum(axis=-1, keepdims=True)


def _times(rl_time: float, gap: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """`rl_time` x `gap`; inf x 0 = 0."""
    return np.multiply(rl_time, gap, out=np.zeros_like(gap), where=gap != 0.0)


def _check(rl_time: float, sft_weight: float) -> None:
    if not rl_time >= 0.0:
        raise DataError(f"rl_time must be at least 0. Got {rl_time}. Give the RL time of one cycle.")
    if not 0.0 < sft_weight <= 1.0:
        found = f"Got {sft_weight}"
        raise DataError(f"sft_weight must be in (0, 1]. {found}. Give the expert's share of the policy after SFT.")
