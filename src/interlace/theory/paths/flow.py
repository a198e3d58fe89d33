"""Flows of the logits, integrated, with the RL time that they spend (D5: dtau = dR/V)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from scipy import integrate

from interlace.errors import DataError
from interlace.theory.finite import FiniteProblem, below_top, over_prompts
from interlace.theory.paths.path_model import Point

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-10, 1e-12


def integrate_logits(
    problem: FiniteProblem,
    times: Float[np.ndarray, "time"],
    velocity: Callable[[Float[np.ndarray, "prompt response"]], Float[np.ndarray, "prompt response"]],
) -> Iterator[Point]:
    """The flow from the problem's reference whose logits move at `velocity(policy)`, at each of `times`.

    What is integrated is how far each logit has moved, so that absent responses and mass 1e-300 are no trouble.

    Raises DataError if a time is infinite. Cost: some 12 to 20 velocities a step, some 100 steps; memory linear.
    """
    if not np.isfinite(times).all():
        raise DataError("times must be finite for a path that is integrated. Got inf. Give a large time instead.")
    with np.errstate(divide="ignore"):
        start = np.log(problem.reference)
    gap = below_top(problem)

    def rate(_: float, state: Float[np.ndarray, "state"]) -> Float[np.ndarray, "state"]:
        log_policy = log_softmax(start + state[:-1].reshape(start.shape))
        policy = np.exp(log_policy)
        moved = velocity(policy)
        return np.append(moved, rl_time_rate(problem, gap, policy, log_policy, moved))

    for state in solutions(rate, np.zeros(start.size + 1), times):
        yield Point(float(state[-1]), log_softmax(start + state[:-1].reshape(start.shape)))


def solutions(
    rate: Callable[[float, Float[np.ndarray, "state"]], Float[np.ndarray, "state"]],
    start: Float[np.ndarray, "state"],
    times: Float[np.ndarray, "time"],
) -> Iterator[Float[np.ndarray, "state"]]:
    """The solution of dy/dt = `rate(t, y)` from `start` at time 0, at each of the increasing `times` (DOP853)."""
    if times.size == 0:
        return
    solver = integrate.DOP853(rate, 0.0, start, times[-1], rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
    for time in times:
        while solver.t < time:
            solver.step()
        yield solver.y if solver.t == time else solver.dense_output()(time)


def rl_time_rate(
    problem: FiniteProblem,
    gap: Float[np.ndarray, "prompt response"],
    policy: Float[np.ndarray, "prompt response"],
    log_policy: Float[np.ndarray, "prompt response"],
    velocity: Float[np.ndarray, "prompt response"],
) -> float:
    """(dR/dt) / V = E_x Cov(v, r) / E_x Var(r); 0 if the reward is flat under the policy.

    `gap` = r - top <= 0. Near the top both vanish like the mass below it, down to e^{-1000}: that mass is scaled first.
    """
    below = (gap < 0.0) & (problem.prompts > 0.0)[:, None]
    peak = np.where(below, log_policy, -np.inf).max()
    if peak == -np.inf:
        return 0.0
    scaled = np.exp(np.where(below, log_policy - peak, -np.inf))
    mean = (policy * gap).sum(axis=-1, keepdims=True)
    scaled_mean = (scaled * gap).sum(axis=-1, keepdims=True)
    pull = np.where(below, scaled * (gap - mean), -policy * scaled_mean)  # policy x (r - R_x) / e^peak
    drift = velocity - (policy * velocity).sum(axis=-1, keepdims=True)
    variance = float(over_prompts(problem, (pull * (gap - mean)).sum(axis=-1)))
    return float(over_prompts(problem, (pull * drift).sum(axis=-1))) / variance if variance > 0.0 else 0.0


def log_softmax(logits: Float[np.ndarray, "prompt response"]) -> Float[np.ndarray, "prompt response"]:
    """log of the softmax of each row; a row needs one finite logit."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
