"""A9 to A11: what holds for any policy whatever, on the RL path or off it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.distributional.increase import sft_loss_increase
from interlace.theory.distributional.rl_times import nearest_rl_time
from interlace.theory.finite import FiniteProblem, kl, over_prompts, reward_range, sft_loss, total_variation


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


def reward_change_bounds(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> RewardChangeBounds:
    """A9: abs(R(p) - R(q)) <= w E_x TV <= w sqrt(KL/2), KL in the smaller direction, w the range of reward in a prompt.

    The range is that over the responses which p or q gives: the narrowest that will do. No condition: a self-check.
    """
    width = reward_range(problem, p, q)
    nearest = min(kl(problem, p, q), kl(problem, q, p))
    return RewardChangeBounds(width * total_variation(problem, p, q), width * math.sqrt(nearest / 2.0))


def split_tilt_off_path(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], rl_time: float | None = None
) -> TiltSplit:
    """A10: L(policy) - L(reference) = tilt part (A1 at `rl_time`) + off-path part, exactly, for any policy and time.

    `rl_time` None: the tilt that earns what the policy earns, the nearest in KL. Off-path part 0: on the path. A policy
    of nothing but best responses is nearest to the path's end, where the tilt part may be inf: the off-path part is
    then -inf, or NaN if the policy's own loss is infinite too, and only a finite `rl_time` splits its change.

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
    drawn = (problem.expert > 0.0) & (problem.prompts > 0.0)[:, None]
    if not np.isin(problem.reward[drawn], (0.0, 1.0)).all():
        raise DataError("reward must be 0 or 1 on the expert's responses (A11). Got other values. Use A10's split.")
    _finite_start(problem)
    infinite, nothing = np.full(policy.shape, np.inf), np.zeros(policy.shape)
    ratio = np.divide(problem.reference, policy, out=infinite, where=policy > 0.0)
    change = problem.expert * np.log(ratio, out=nothing, where=drawn)
    right = float(over_prompts(problem, np.where(drawn & (problem.reward == 1.0), change, 0.0).sum(axis=-1)))
    wrong = float(over_prompts(problem, np.where(drawn & (problem.reward == 0.0), change, 0.0).sum(axis=-1)))
    return RightWrongSplit(right, wrong)


def _finite_start(problem: FiniteProblem) -> float:
    start = sft_loss(problem, problem.reference)
    if math.isinf(start):
        raise DataError("reference must be positive wherever the expert is (A). Got L = inf. Smooth the reference.")
    return start
