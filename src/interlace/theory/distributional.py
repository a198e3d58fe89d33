"""A: the exact analysis of policies as distributions. No assumption on any loss landscape.

The RL path is pi_tau = reference exp(tau r) / Z_tau, tau = `rl_time` >= 0: the optimum of R(pi) -
KL(pi, reference)/tau, and where natural policy gradient stands after RL time tau. A float goes in and a float comes
out; an array of times gives an array.

The increases need L(reference) finite (A's condition). They are computed from laws of reward alone, so a problem lumped
by reward will do, and the caller answers for the condition.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.finite import (
    FiniteProblem,
    expected_reward,
    kl,
    over_prompts,
    reward_range,
    sft_loss,
    top_reward,
    total_variation,
)
from interlace.theory.mixture import largest_sft_time, sft_path, sft_path_reward
from interlace.theory.roots import increasing_root
from interlace.theory.tilt import (
    Times,
    like,
    log_partition,
    tilt_of,
    tilted_policy,
    tilted_reward,
    tilted_reward_variance,
)

__all__ = [
    # the RL path
    "log_partition", "tilted_policy", "tilted_reward", "tilted_reward_variance",
    # along it: A1 to A5
    "sft_loss_increase", "optimal_sft_increase", "sft_loss_increase_lower_bound", "sft_loss_slope", "free_energy",
    # times that answer a question: A4, A5, A10
    "parity_rl_time", "non_decoupling_threshold", "perfect_expert_limit", "matching_rl_time",
    "nearest_rl_time",
    # the SFT path: A8
    "sft_path", "sft_path_reward", "largest_sft_time",
    # any policy whatever: A9 to A11
    "reward_change_bounds", "split_tilt_off_path", "split_right_wrong",
    "RewardChangeBounds", "RightWrongSplit", "TiltSplit",
]  # fmt: skip

SAME_REWARD = 1e-12
"""Two rewards closer than this, relative to the rewards' size, count as equal (is the expert perfect?)."""


class TiltSplit(NamedTuple):
    """A10: a change of SFT loss as `tilt` + `off_path`, nats per response, at the tilt of RL time `rl_time`."""

    rl_time: float
    tilt: float
    off_path: float


class RightWrongSplit(NamedTuple):
    """A11: a change of SFT loss as `right` (damage) + `wrong` (unlearning the reward asks for), nats per response."""

    right: float
    wrong: float


class RewardChangeBounds(NamedTuple):
    """A9: what a change of reward cannot exceed, reward units; the second is never the smaller one."""

    total_variation: float
    kl: float


# ---------------------------------------------------------------------------------------------------- along the RL path


def sft_loss_increase(problem: FiniteProblem, rl_time: Times) -> Times:
    """A1: L(pi_tau) - L(reference) = E_x log Z_tau(x) - tau R_D, nats per response. Positive: RL raised SFT loss.

    Example: one prompt, pass rate 1/2, a perfect expert; at the end of the path all mass is on the right answer.

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
    gap = expected_reward(problem, problem.reference) - problem.expert_reward
    return like(rl_time, np.asarray(rl_time) * gap)


def sft_loss_slope(problem: FiniteProblem, rl_time: Times) -> Times:
    """A4, the reward parity law: dL/dtau = R(pi_tau) - R_D, the parity gap. Negative: RL is still lowering SFT loss."""
    return like(rl_time, np.asarray(tilted_reward(problem, rl_time)) - problem.expert_reward)


def free_energy(problem: FiniteProblem, rl_time: Times) -> Times:
    """A5: F(tau) = E_x log Z_tau(x) / tau, reward units; from R(reference) at 0 up to E_x top(x) at infinity."""
    tilt = tilt_of(problem, rl_time)
    tau = np.asarray(rl_time, dtype=np.float64)
    start = np.full(tau.shape, expected_reward(problem, problem.reference))
    log_mass = over_prompts(problem, tilt.log_mass)
    rise = np.divide(log_mass, tau, out=np.zeros_like(log_mass), where=tau != 0.0)
    return like(rl_time, np.where(tau == 0.0, start, over_prompts(problem, tilt.anchor) + rise))


# ----------------------------------------------------------------------------------------- times that answer a question


def parity_rl_time(problem: FiniteProblem) -> float:
    """A4: the RL time at which SFT loss is least: where R(pi_tau) = R_D, the tilt nearest to the expert.

    0 if the reference already earns R_D; inf if R_D is all that the reference's support can earn (perfect expert).
    """
    return max(0.0, nearest_rl_time(problem, problem.expert))


def non_decoupling_threshold(problem: FiniteProblem) -> float:
    """A5: the RL time from which SFT loss stays above its start: the root of F(tau) = R_D.

    0 if the reference already earns R_D; inf for a perfect expert; else above `parity_rl_time`.
    """
    parity = parity_rl_time(problem)
    if parity in (0.0, math.inf):
        return parity
    shortfall = _shortfall(problem, problem.expert)

    def excess(rl_time: float) -> float:  # F(tau) - R_D
        return shortfall + float(over_prompts(problem, tilt_of(problem, rl_time).log_mass)) / rl_time

    return increasing_root(excess, parity, parity)


def perfect_expert_limit(problem: FiniteProblem) -> float:
    """A5: what RL takes off the SFT loss of a perfect expert in all: E_x[-log reference(best responses)] >= 0, nats.

    A figure of the reference and the reward alone; it is the loss's total fall only if R_D = E_x top(x).
    """
    return -float(over_prompts(problem, tilt_of(problem, math.inf).log_mass))


def matching_rl_time(problem: FiniteProblem, reward: float) -> float:
    """The tau in [-inf, inf] with R(pi_tau) = `reward`: the tilt nearest in KL to any policy of that reward (A10).

    Infinite if `reward` is not strictly between what the reference's worst and best responses earn: no tilt reaches it.
    """
    highest = float(over_prompts(problem, top_reward(problem)))
    lowest = -float(over_prompts(problem, top_reward(_mirrored(problem))))
    return _time_earning(problem, reward, shortfall=highest - reward, surplus=reward - lowest)


def nearest_rl_time(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """A10: the tau of the tilt nearest to `policy` in KL(policy, pi_tau): `matching_rl_time` of its reward.

    Keeps digits where the reward of the policy is close to the best one.
    """
    surplus = _shortfall(_mirrored(problem), policy)
    return _time_earning(problem, expected_reward(problem, policy), _shortfall(problem, policy), surplus)


def _time_earning(problem: FiniteProblem, reward: float, shortfall: float, surplus: float) -> float:
    """The tau with R(pi_tau) = `reward`, `shortfall` below E_x top and `surplus` above the least reward."""
    rise = reward - expected_reward(problem, problem.reference)
    if abs(rise) <= (0.0 if reward_range(problem) > 0.0 else _tolerance(problem)):
        return 0.0
    return _time_to_shortfall(problem, shortfall) if rise > 0.0 else -_time_to_shortfall(_mirrored(problem), surplus)


def _mirrored(problem: FiniteProblem) -> FiniteProblem:
    """The reward's sign turned: the path in the other direction."""
    return FiniteProblem(problem.prompts, problem.reference, problem.expert, -problem.reward)


def _shortfall(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """E_x top - R(policy), without cancellation."""
    gap = top_reward(problem)[:, None] - problem.reward
    return float(over_prompts(problem, (policy * gap).sum(axis=-1)))


def _time_to_shortfall(problem: FiniteProblem, shortfall: float) -> float:
    """The tau > 0 at which E_x top - R(pi_tau) = `shortfall`, which must be below the reference's own; else inf.

    Solved in log shortfall, so that nothing is lost to cancellation near the top.
    """
    if shortfall <= _tolerance(problem):
        return math.inf

    def progress(rl_time: float) -> float:
        tilt = tilt_of(problem, rl_time)
        remaining = -float(over_prompts(problem, (tilt.policy * tilt.gap).sum(axis=-1)))
        return math.log(shortfall / max(remaining, 1e-300 * shortfall))

    return increasing_root(progress, 0.0, 1.0 / reward_range(problem))


def _tolerance(problem: FiniteProblem) -> float:
    return SAME_REWARD * float(over_prompts(problem, np.abs(problem.reward).max(axis=-1)))


# -------------------------------------------------------------------------------------------------- any policy whatever


def reward_change_bounds(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> RewardChangeBounds:
    """A9: abs(R(p) - R(q)) <= w E_x TV <= w sqrt(KL/2), KL in the smaller direction, w the range of reward in a prompt.

    No condition: a self-check.
    """
    width = reward_range(problem, p, q)
    nearest = min(kl(problem, p, q), kl(problem, q, p))
    return RewardChangeBounds(width * total_variation(problem, p, q), width * math.sqrt(nearest / 2.0))


def split_tilt_off_path(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], rl_time: float | None = None
) -> TiltSplit:
    """A10: L(policy) - L(reference) = tilt part (A1 at `rl_time`) + off-path part, exactly, for any policy and time.

    `rl_time` None: the tilt that earns what the policy earns, the nearest in KL. Off-path part 0: on the path.

    Raises DataError if L(reference) is infinite: there is no finite change to split.
    """
    start = _finite_start(problem)
    if rl_time is None:
        rl_time = nearest_rl_time(problem, policy)
    tilt = sft_loss_increase(problem, rl_time)
    return TiltSplit(rl_time, tilt, sft_loss(problem, policy) - start - tilt)


def split_right_wrong(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> RightWrongSplit:
    """A11: L(policy) - L(reference) by the expert's right (r = 1) and wrong (r = 0) responses; the parts add up to it.

    Condition: binary reward. Raises DataError if it is not, or if L(reference) is infinite.
    """
    if not np.isin(problem.reward[problem.expert > 0.0], (0.0, 1.0)).all():
        raise DataError("reward must be 0 or 1 on the expert's responses (A11). Got other values. Use A10's split.")
    _finite_start(problem)
    drawn = (problem.expert > 0.0) & (problem.prompts > 0.0)[:, None]
    ratio = np.divide(problem.reference, policy, out=np.full_like(policy, np.inf), where=policy > 0.0)
    change = problem.expert * np.log(ratio, out=np.zeros_like(policy), where=drawn)
    right = float(over_prompts(problem, np.where(drawn & (problem.reward == 1.0), change, 0.0).sum(axis=-1)))
    wrong = float(over_prompts(problem, np.where(drawn & (problem.reward == 0.0), change, 0.0).sum(axis=-1)))
    return RightWrongSplit(right, wrong)


def _finite_start(problem: FiniteProblem) -> float:
    start = sft_loss(problem, problem.reference)
    if math.isinf(start):
        raise DataError("reference must be positive wherever the expert is (A). Got L = inf. Smooth the reference.")
    return start
