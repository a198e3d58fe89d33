"""D14: the PL inequalities that tabular policies are certain to have, in the Fisher metric."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier.balance import allowed


class PlConstants(NamedTuple):
    """D14: `sft` = mu_S (per unit of SFT time), `reward` = mu_R (reward units: per unit of RL time)."""

    sft: float
    reward: float


def tabular_pl_constants(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> PlConstants:
    """D14: the PL constants certain at `policy`: mu_S = 1/2, mu_R = m/2, m = min_x policy(best) x gap to second best.

    norm(grad L)^2 = X2(p_D, policy) >= KL(p_D, policy) = L - H; norm(grad R)^2 = V(policy) >= m (R* - R).
    R* = E_x max r. Best responses (all that tie) and the gap to the next lower reward are meant among the allowed ones
    (reference or expert positive). Prompts of weight 0, and flat ones, which can gain nothing, are left out; inf if
    none is left.

    Condition: one logit a response, gradients in the Fisher metric (natural gradient). mu_R is alive at R*, where it is
    half the least gap; it is 0 where the policy gives no best response of some prompt.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> tabular_pl_constants(problem, np.array([[0.25, 0.75]]))
    PlConstants(sft=0.5, reward=0.375)
    """
    reward = np.where(allowed(problem), problem.reward, -np.inf)
    best = reward.max(axis=-1, keepdims=True)
    second = np.where(reward < best, reward, -np.inf).max(axis=-1)
    counts = (problem.prompts > 0.0) & (second > -np.inf)
    mass = np.where(reward == best, policy, 0.0).sum(axis=-1)
    constants = (mass * (best[:, 0] - second))[counts]
    return PlConstants(sft=0.5, reward=0.5 * float(constants.min()) if constants.size else math.inf)
