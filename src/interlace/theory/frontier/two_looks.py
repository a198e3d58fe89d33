"""D11 read backwards: how much RL and how much SFT lie between a policy and what was seen of it later.

RL for h and SFT for s = -log(1 - w) change reward and SFT loss by h V - s G and h G - s X2 to first order, G = R - R_D
(A4, A8). Two equations, two unknowns, of determinant -(V X2 - G^2): reward and SFT loss tell h from s but where the
policy is on the front (D9), where both sides move it along the front alone (D2: the cosine of their gradients is 1).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from interlace.estimate import Unresolved
from interlace.theory.finite import (
    FiniteProblem,
    chi_square,
    expected_reward,
    reward_difference,
    reward_variance,
    sft_loss,
)

CLOSEST = 0.95
"""The largest cosine of the two sides' gradients at which they are told apart: errors grow by 1/(1 - cosine)."""
LONGEST = 20.0
"""h times the range of reward, and s, at which either side has arrived as far as two means can tell."""
NOTHING = 1e-6
"""The share of those that is none: a bounded search stops short of its bounds."""


class Sides(NamedTuple):
    """What lies between two looks: `rl_time` h and `sft_time` s = -log(1 - w), each at least 0."""

    rl_time: float
    sft_time: float


def alternated(
    problem: FiniteProblem, rl_time: float, sft_time: float, rounds: int = 1
) -> Float[np.ndarray, "prompt response"]:
    """D11's map from the reference: RL for `rl_time` and SFT for `sft_time`, in `rounds` equal turns, RL first.

    The tabular ideal of both: pi e^{hr}/Z, then (1 - w) pi + w p_D with w = 1 - e^{-s}.
    """
    gain = np.exp(rl_time / rounds * (problem.reward - problem.reward.max(axis=-1, keepdims=True)))
    left = math.exp(-sft_time / rounds)
    policy = problem.reference
    for _ in range(rounds):
        weight = policy * gain
        policy = left * weight / weight.sum(axis=-1, keepdims=True) + (1.0 - left) * problem.expert
    return policy


def sides_between(
    problem: FiniteProblem, reward: float, loss: float, rounds: int = 1, usual: float | None = None
) -> Sides | Unresolved:
    """The h and s >= 0 after which `alternated` comes nearest to mean `reward` and SFT `loss` (nats/response).

    Nearest: misses of reward count in units of sqrt(V), misses of SFT loss in units of sqrt(X2), the lengths of the two
    gradients in the Fisher metric. Exact where some h and s >= 0 lead there. A loss that rose by more than the tilt of
    that reward explains would need s < 0: then s = 0, and h is what both say of RL alone. A reward that fell by more
    than SFT explains: h = 0. Both 0: the policy stayed, or went where neither leads.

    `usual`: h as other looks have it, taken where the policy is so near the front that both sides are alike
    (`CLOSEST`); s is then what fits beside it. At rest on the front that is h times its exchange rate.

    Unresolved where the looks cannot say: an infinite loss, a reward that does not vary (V = 0), a policy that is the
    expert, or sides that are alike without a `usual` h.

    Cost: some dozens of passes over the table a round.
    """
    refusal = _refusal(problem, loss)
    if refusal is not None:
        return refusal
    slopes = _slopes(problem)
    cosine = slopes.gap / math.sqrt(slopes.variance * slopes.spread)
    if abs(cosine) <= CLOSEST:
        usual = None
    elif usual is None:
        return Unresolved(f"RL and imitation move reward and SFT loss alike (cosine {cosine:.2f} of their gradients)")
    return _nearest(problem, np.array([reward, loss]), slopes, rounds, usual)


class _Slopes(NamedTuple):
    """V, G and X2 of the reference."""

    variance: float
    gap: float
    spread: float


def _slopes(problem: FiniteProblem) -> _Slopes:
    policy = problem.reference
    gap = reward_difference(problem, policy, problem.expert)
    return _Slopes(reward_variance(problem, policy), gap, chi_square(problem, problem.expert, policy))


def _refusal(problem: FiniteProblem, loss: float) -> Unresolved | None:
    if not math.isfinite(sft_loss(problem, problem.reference)) or not math.isfinite(loss):
        return Unresolved("the SFT loss is infinite")
    if not reward_variance(problem, problem.reference) > 0.0:
        return Unresolved("the policy's reward does not vary within any prompt")
    if not chi_square(problem, problem.expert, problem.reference) > 0.0:
        return Unresolved("the policy is the expert")
    return None


def _nearest(
    problem: FiniteProblem, seen: Float[np.ndarray, "objective"], slopes: _Slopes, rounds: int, usual: float | None
) -> Sides:
    """Bounded least squares from the solution to first order; over s alone where h is given."""
    scale = np.sqrt([slopes.variance, slopes.spread])
    ends = np.array([LONGEST / float(np.ptp(problem.reward)), LONGEST])
    fixed = np.zeros(0) if usual is None else np.array([min(usual, float(ends[0]))])
    free = slice(fixed.size, None)

    def miss(sides: Float[np.ndarray, "free"]) -> Float[np.ndarray, "objective"]:
        rl_time, sft_time = np.concatenate([fixed, sides]).tolist()
        return (_objectives(problem, alternated(problem, rl_time, sft_time, rounds)) - seen) / scale

    begin = np.clip(_first_order(slopes, seen - _objectives(problem, problem.reference), usual), 1e-3 * ends, ends / 2)
    bounds, precision = (0.0, ends[free]), {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    found = optimize.least_squares(miss, begin[free], bounds=bounds, x_scale=1.0 / scale[free], **precision)
    sides = np.concatenate([fixed, found.x])
    return Sides(*np.where(sides < NOTHING * ends, 0.0, sides).tolist())


def _objectives(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> Float[np.ndarray, "objective"]:
    return np.array([expected_reward(problem, policy), sft_loss(problem, policy)])


def _first_order(
    slopes: _Slopes, change: Float[np.ndarray, "objective"], usual: float | None
) -> Float[np.ndarray, "side"]:
    """h and s of the linear equations, of either sign; beside a `usual` h, s of that of SFT loss."""
    if usual is not None:
        return np.array([usual, (usual * slopes.gap - change[1]) / slopes.spread])
    table = np.array([[slopes.variance, -slopes.gap], [slopes.gap, -slopes.spread]])
    return np.linalg.solve(table, change)
