"""D3: plain policy gradient on one logit a response. Reward parity does not rule it: its sign can fail either way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from interlace.theory.finite import FiniteProblem
from interlace.theory.paths.flow import integrate_logits
from interlace.theory.paths.path_model import PathModel, PathOptions, Point
from interlace.theory.paths.rates import centred, loss_rate

SAME = 1e-12
"""Numbers closer than this, relative to the largest, count as equal."""


def softmax_velocity(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]
) -> Float[np.ndarray, "prompt response"]:
    """D3: the gradient of R by the logits, rho(x) pi (r - R_x), reward units: how plain policy gradient moves them."""
    return problem.prompts[:, None] * policy * centred(policy, problem.reward)


def softmax_loss_rate(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """D3: dL/dt = sum_x rho^2 sum_y pi (pi - p_D)(r - R_x) under plain softmax policy gradient, nats per unit of time.

    <grad L, grad R> in the logits; positive: the update raises SFT loss. It has the sign of R - R_D if the policy is
    uniform on supports of one size and prompts weigh the same; or if (pi - p_D)(r - R_x) has one sign; or for one
    prompt, binary reward, p_D proportional to pi within right and within wrong. In general it has not.

    A policy below reward parity (0.6 < 0.65) whose SFT loss rises:

    >>> problem = FiniteProblem(np.ones(1), *(np.array([row]) for row in ([.5, .1, .4], [.1, .55, .35], [1., 1., 0.])))
    >>> round(softmax_loss_rate(problem, problem.reference), 12)
    0.05
    """
    return loss_rate(problem, policy, softmax_velocity(problem, policy))


def softmax_sign_follows_parity(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> bool:
    """D3: whether one of its three sufficient conditions gives dL/dt the sign of R - R_D; False decides nothing.

    All three need a policy that covers the expert. Equalities are meant up to rounding; prompts of weight 0 do not
    count.
    """
    rows = problem.prompts > 0.0
    weight, pi, expert, reward = (part[rows] for part in (problem.prompts, policy, problem.expert, problem.reward))
    if ((expert > 0.0) & (pi == 0.0)).any():
        return False
    products = (pi - expert) * centred(pi, reward)
    noise = SAME * np.abs(products).max()
    one_sign = products.min() >= -noise or products.max() <= noise
    even = _same(weight) and _same(pi[pi > 0.0])
    return bool(one_sign or even or (len(weight) == 1 and _proportional_within(pi[0], expert[0], reward[0])))


def _proportional_within(policy: np.ndarray, expert: np.ndarray, reward: np.ndarray) -> bool:
    """Whether the reward is binary and expert/policy is one number on right, and one on wrong responses."""
    used = policy > 0.0
    ratio, right = expert[used] / policy[used], reward[used] == 1.0
    return bool(np.isin(reward[used], (0.0, 1.0)).all()) and _same(ratio[right]) and _same(ratio[~right])


def _same(values: np.ndarray) -> bool:
    return values.size == 0 or bool(np.ptp(values) <= SAME * np.abs(values).max())


def softmax_points(problem: FiniteProblem, times: Float[np.ndarray, "time"], options: PathOptions) -> Iterator[Point]:
    """The flow of plain policy gradient, integrated; finite times only."""
    return integrate_logits(problem, times, lambda policy: softmax_velocity(problem, policy))


SOFTMAX = PathModel(
    name="softmax",
    sentence="plain policy gradient on one logit a response: logits move at rho(x) pi (r - R_x)",
    source="D3",
    points=softmax_points,
)
