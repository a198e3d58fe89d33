"""D4: natural policy gradient with advantages divided by each prompt's standard deviation."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.distributional.tilt import like
from interlace.theory.finite import FiniteProblem
from interlace.theory.paths.rates import centred, loss_rate

PassRates = TypeVar("PassRates", float, Float[np.ndarray, "*prompt"])


def std_natural_velocity(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]
) -> Float[np.ndarray, "prompt response"]:
    """D4: the logits' velocity (r - R_x)/sd_x: each prompt's RL time runs at 1/sd_x. 0 where the reward is flat."""
    advantage = centred(policy, problem.reward)
    deviation = np.sqrt((policy * np.square(advantage)).sum(axis=-1, keepdims=True))
    return np.divide(advantage, deviation, out=np.zeros_like(advantage), where=deviation > 0.0)


def std_natural_loss_rate(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """D4: dL/dt = E_x (R_x - R_D,x)/sd_x, nats per unit of time: not the parity gap, whose sign it need not have.

    Prompts whose reward is flat under the policy do not move and count 0.
    """
    return loss_rate(problem, policy, std_natural_velocity(problem, policy))


def std_natural_pass_rate(pass_rate: PassRates, time: float) -> PassRates:
    """D4: p_t = sin^2(min(pi/2, arcsin sqrt(p_0) + t/2)) for binary reward: every prompt is done at a finite time.

    A prompt that is never solved (p_0 = 0) never moves. SFT loss is convex in t until then.

    Raises DataError if a pass rate is not in [0, 1] or `time` is negative.

    >>> round(std_natural_pass_rate(0.25, np.pi / 3), 12), std_natural_pass_rate(0.25, 10.0)
    (0.75, 1.0)
    """
    start = np.asarray(pass_rate, dtype=np.float64)
    if not ((start >= 0.0) & (start <= 1.0)).all():
        raise DataError(f"pass_rate must be between 0 and 1. Got {pass_rate}. Give the share of right responses.")
    if not time >= 0.0:
        raise DataError(f"time must be at least 0. Got {time}. Give the time since the start.")
    angle = np.minimum(np.pi / 2.0, np.arcsin(np.sqrt(start)) + time / 2.0)
    return like(pass_rate, np.where(start > 0.0, np.square(np.sin(angle)), 0.0))
