"""D6 and D7: natural policy gradient with a KL term in the objective, towards any anchor or towards the start.

The path is the RL path (A) of the reward r + beta log(anchor/reference), run by D7's clock: all of A holds of it in
that clock, with that reward.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.errors import DataError
from interlace.theory.distributional.tilt import Times, like, tilted_policy
from interlace.theory.finite import FiniteProblem
from interlace.theory.paths.rates import loss_rate


def rl_clock(time: Times, kl_coefficient: float) -> Times:
    """D7: the RL time (1 - e^{-beta s})/beta after time s under R - beta KL(pi, start): it saturates at 1/beta.

    beta = `kl_coefficient` >= 0 (0: no KL term, RL time is `time`), s = `time` >= 0, inf included.

    Raises DataError if either is negative, or beta is not finite.

    >>> rl_clock(math.inf, 0.04), round(rl_clock(1.0, math.log(2.0)) * math.log(2.0), 12)
    (25.0, 0.5)
    """
    _check(kl_coefficient)
    elapsed = np.asarray(time, dtype=np.float64)
    if not (elapsed >= 0.0).all():
        raise DataError(f"time must be at least 0. Got {time}. Give the time since the start.")
    finite = np.where(np.isinf(elapsed), 0.0, elapsed)
    end = math.inf if kl_coefficient == 0.0 else 1.0 / kl_coefficient
    return like(time, np.where(np.isinf(elapsed), end, finite * special.exprel(-kl_coefficient * finite)))


def rl_clock_steps(num_steps: int, step_size: float, kl_coefficient: float) -> float:
    """D7: the RL time (1 - (1 - eta beta)^k)/beta after k mirror-descent steps of size eta.

    The objective is R - beta KL(pi, start), its gradient taken at each step's beginning. Saturates at 1/beta if
    eta beta < 2 (beyond eta beta = 1 from both sides in turn, overshooting); never settles from 2 on.

    Raises DataError if `num_steps` or `step_size` is negative, or as `rl_clock` does.

    >>> rl_clock_steps(2, 0.5, 1.0), rl_clock_steps(10, 0.5, 0.0)
    (0.75, 5.0)
    """
    _check(kl_coefficient)
    if num_steps < 0 or not step_size >= 0.0:
        found = f"Got {num_steps} and {step_size}"
        raise DataError(f"num_steps and step_size must be at least 0. {found}. Give how far the run has come.")
    if kl_coefficient == 0.0:
        return num_steps * step_size
    decay = step_size * kl_coefficient
    if decay < 1.0:
        return -math.expm1(num_steps * math.log1p(-decay)) / kl_coefficient
    return (1.0 - (1.0 - decay) ** num_steps) / kl_coefficient


def anchored_policy(
    problem: FiniteProblem, anchor: Float[np.ndarray, "prompt response"], kl_coefficient: float, time: Times
) -> Float[np.ndarray, "*time prompt response"]:
    """D6: where natural gradient of R - beta KL(pi, anchor) stands `time` s after leaving the problem's reference pi_0.

    pi_0^a anchor^{1-a} exp(r (1-a)/beta)/norm., a = e^{-beta s}, beta = `kl_coefficient`. At s = inf: the anchor's tilt
    by r/beta within the support of pi_0; at beta = 0: the RL path of A. Responses that the anchor lacks are left at
    once, those that pi_0 lacks never reached.

    Raises DataError if some prompt has no response that both can give, or as `rl_clock` does.
    """
    clock = rl_clock(time, kl_coefficient)
    if kl_coefficient == 0.0:
        return tilted_policy(problem, clock)
    moved = np.asarray(time)[..., None, None] > 0.0
    return np.where(moved, tilted_policy(anchored_problem(problem, anchor, kl_coefficient), clock), problem.reference)


def anchored_loss_rate(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    anchor: Float[np.ndarray, "prompt response"],
    kl_coefficient: float,
) -> float:
    """D6: dL/ds = [R - beta KL(pi, anchor)] - [R_D - beta (L(anchor) - L(pi))], nats per unit of time.

    Positive: the update raises SFT loss. Without the KL term it is A4's parity gap.

    Raises DataError if the anchor misses a response of the policy or the expert: the flow then has no rate there.
    """
    _check(kl_coefficient)
    if kl_coefficient == 0.0:
        return loss_rate(problem, policy, problem.reward)
    drawn = ((policy > 0.0) | (problem.expert > 0.0)) & (problem.prompts > 0.0)[:, None]
    if (drawn & (anchor == 0.0)).any():
        raise DataError(
            "anchor must be positive wherever policy and expert are (D6). Got zeros there. Smooth the anchor."
        )
    return loss_rate(problem, policy, problem.reward - kl_coefficient * _log_ratio(policy, anchor))


def anchored_problem(
    problem: FiniteProblem, anchor: Float[np.ndarray, "prompt response"], kl_coefficient: float
) -> FiniteProblem:
    """The problem whose RL path is D6's: reward r + beta log(anchor/reference), within the anchor's support.

    Raises DataError if some prompt has no response that both can give.
    """
    shared = problem.support & (anchor > 0.0)
    mass = np.where(shared, problem.reference, 0.0).sum(axis=-1, keepdims=True)
    counts = problem.prompts[:, None] > 0.0
    if not (mass > 0.0)[counts].all():
        row = f"row {int(mass[:, 0].argmin()) + 1} of {len(mass)}"
        raise DataError(f"anchor must share a response with the reference. Got none in {row}. Smooth the anchor.")
    kept = np.where(shared | (mass == 0.0), problem.reference, 0.0)  # a prompt of weight 0 may keep its reference
    pull = -kl_coefficient * _log_ratio(np.where(shared, problem.reference, 0.0), anchor)
    best = np.where(shared, problem.reward, -np.inf).max(axis=-1, keepdims=True)
    below = np.where(counts, problem.reward - best, 0.0)  # counted from the best, or a small beta loses its digits
    return FiniteProblem(problem.prompts, kept / kept.sum(axis=-1, keepdims=True), problem.expert, below + pull)


def _log_ratio(
    policy: Float[np.ndarray, "prompt response"], anchor: Float[np.ndarray, "prompt response"]
) -> Float[np.ndarray, "prompt response"]:
    """log(policy/anchor), 0 where either has no mass."""
    both = (policy > 0.0) & (anchor > 0.0)
    return np.log(np.where(both, policy, 1.0)) - np.log(np.where(both, anchor, 1.0))


def _check(kl_coefficient: float) -> None:
    if not 0.0 <= kl_coefficient < math.inf:
        found = f"Got {kl_coefficient}"
        raise DataError(f"kl_coefficient must be at least 0 and finite. {found}. 0 means no KL term.")
