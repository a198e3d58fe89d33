"""The RL path pi_tau = reference exp(tau r) / Z_tau, in a form that neither overflows nor cancels.

A float of RL time goes in and a float comes out; an array of times gives an array. Negative and infinite times are
accepted: the path's other side and its ends.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar, cast

import numpy as np
from jaxtyping import Float

from interlace.theory.finite import FiniteProblem, over_prompts, top_reward

Times = TypeVar("Times", float, Float[np.ndarray, "*time"])


class Tilt(NamedTuple):
    """pi_tau in a form that cannot overflow: rewards counted from `anchor`, the best one on the support (tau >= 0).

    `gap` = r - anchor on the support, else 0; `log_mass` = log E_ref exp(tau gap) <= 0.
    """

    anchor: Float[np.ndarray, "*time prompt"]
    gap: Float[np.ndarray, "*time prompt response"]
    log_mass: Float[np.ndarray, "*time prompt"]
    policy: Float[np.ndarray, "*time prompt response"]


def tilt_of(problem: FiniteProblem, rl_time: Times) -> Tilt:
    """The path's point at `rl_time`, or its points; the ends -inf and inf included."""
    tau = np.asarray(rl_time, dtype=np.float64)[..., None, None]
    bottom = np.where(problem.support, problem.reward, np.inf).min(axis=-1)
    anchor = np.where(tau[..., 0] >= 0.0, top_reward(problem), bottom)
    gap = np.where(problem.support, problem.reward - anchor[..., None], 0.0)
    exponent = np.multiply(tau, gap, out=np.zeros_like(gap), where=gap != 0.0)  # inf x 0 = 0
    weight = problem.reference * np.exp(exponent)
    mass = weight.sum(axis=-1)
    deficit = (problem.reference * np.expm1(exponent)).sum(axis=-1)  # mass - 1, exact for small tau
    log_mass = np.where(deficit > -0.5, np.log1p(np.maximum(deficit, -0.5)), np.log(mass))
    return Tilt(anchor, gap, log_mass, weight / mass[..., None])


def like(rl_time: Times, values: float | Float[np.ndarray, "..."]) -> Times:
    """`values` as a float if `rl_time` is one."""
    return cast("Times", float(values) if np.ndim(rl_time) == 0 else values)


def log_partition(problem: FiniteProblem, rl_time: Times) -> Float[np.ndarray, "*time prompt"]:
    """log Z_tau(x) = log E_{y ~ reference} exp(tau r) of each prompt, nats."""
    tilt = tilt_of(problem, rl_time)
    tau = np.broadcast_to(np.asarray(rl_time)[..., None], tilt.anchor.shape)
    return np.multiply(tau, tilt.anchor, out=np.zeros(tau.shape), where=tilt.anchor != 0.0) + tilt.log_mass


def tilted_policy(problem: FiniteProblem, rl_time: Times) -> Float[np.ndarray, "*time prompt response"]:
    """pi_tau. At tau = inf: the reference restricted to its best responses."""
    return tilt_of(problem, rl_time).policy


def tilted_reward(problem: FiniteProblem, rl_time: Times) -> Times:
    """R(pi_tau), reward units; rises with tau."""
    tilt = tilt_of(problem, rl_time)
    return like(rl_time, over_prompts(problem, tilt.anchor + (tilt.policy * tilt.gap).sum(axis=-1)))


def tilted_reward_variance(problem: FiniteProblem, rl_time: Times) -> Times:
    """V(pi_tau) = dR/dtau = d2L/dtau2 (A4), reward units squared."""
    tilt = tilt_of(problem, rl_time)
    deviation = tilt.gap - (tilt.policy * tilt.gap).sum(axis=-1, keepdims=True)
    return like(rl_time, over_prompts(problem, (tilt.policy * deviation**2).sum(axis=-1)))
