"""D1: how fast any update of the logits moves SFT loss and reward, and how far a projected natural gradient can stray.

A `velocity` v(x, y) says how fast each logit moves; adding a constant to a prompt's row changes nothing. Slots that
neither the policy nor the expert gives, and prompts of weight 0, are ignored, whatever stands there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from interlace.theory.finite import FiniteProblem, chi_square, over_prompts


class Projection(NamedTuple):
    """Natural policy gradient in a parametrisation: logits move at `velocity`, reward units per RL time.

    `mean_squared_residual`: E_x E_pi of (advantage - velocity)^2, reward units squared: what the parameters miss.
    """

    velocity: Float[np.ndarray, "prompt response"]
    mean_squared_residual: float


def loss_rate(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    velocity: Float[np.ndarray, "prompt response"],
) -> float:
    """D1: dL/dt = E_pi v - E_{p_D} v while the logits of `policy` move at `velocity`, nats per unit of v's time.

    Positive: the update raises SFT loss. Where the policy misses the expert L is infinite, and this is no rate of it.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]))
    >>> loss_rate(problem, problem.reference, problem.reward)
    -0.5
    """
    drift = centred(policy, np.where(_drawn(problem, policy) | _drawn(problem, problem.expert), velocity, 0.0))
    return float(over_prompts(problem, ((policy - problem.expert) * drift).sum(axis=-1)))


def reward_rate(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    velocity: Float[np.ndarray, "prompt response"],
) -> float:
    """D1: dR/dt = E_x Cov_pi(v, r) while the logits of `policy` move at `velocity`, reward units per unit of v's time.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]))
    >>> reward_rate(problem, problem.reference, problem.reward)
    0.25
    """
    drift = centred(policy, np.where(_drawn(problem, policy), velocity, 0.0))
    return float(over_prompts(problem, (policy * drift * centred(policy, problem.reward)).sum(axis=-1)))


def natural_velocity(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    features: Float[np.ndarray, "prompt response parameter"],
) -> Projection:
    """D1: where natural policy gradient moves the logits: the advantage r - R_x projected on the score features.

    `features` are the logits' derivatives by the parameters; less their mean under the policy they are the scores.
    Least squares under x ~ prompts, y ~ `policy`. One feature a response: the advantage itself, and no residual.

    Cost: a least-squares problem of (prompts x responses) rows.
    """
    scores = np.where(_drawn(problem, policy)[..., None], features, 0.0)
    scores = scores - (policy[..., None] * scores).sum(axis=1, keepdims=True)
    advantage = centred(policy, problem.reward)
    weight = np.sqrt(problem.prompts[:, None] * policy)
    rows = (weight[..., None] * scores).reshape(-1, features.shape[-1])
    step = np.linalg.lstsq(rows, (weight * advantage).reshape(-1), rcond=None)[0]
    velocity = scores @ step
    residual = over_prompts(problem, (policy * np.square(advantage - velocity)).sum(axis=-1))
    return Projection(velocity, float(residual))


def projection_bound(
    problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], mean_squared_residual: float
) -> float:
    """D1: abs(dL/dtau - (R - R_D)) <= sqrt(eps X2(p_D, policy)) for natural policy gradient in any parametrisation.

    eps = `mean_squared_residual` of the advantage's projection on the score features (`natural_velocity`), reward units
    squared. Equal iff the residual is proportional to p_D/policy - 1. inf where the policy misses the expert.
    """
    distance = chi_square(problem, problem.expert, policy)
    return math.inf if math.isinf(distance) else math.sqrt(mean_squared_residual * distance)


def centred(
    policy: Float[np.ndarray, "prompt response"], values: Float[np.ndarray, "prompt response"]
) -> Float[np.ndarray, "prompt response"]:
    """`values` less their mean under the policy, prompt by prompt; equal values give exactly 0."""
    # The common part is taken off first, so that a large offset or a flat row leaves no rounding behind.
    shifted = values - values[np.arange(len(values)), policy.argmax(axis=-1)][:, None]
    return shifted - (policy * shifted).sum(axis=-1, keepdims=True)


def _drawn(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> Bool[np.ndarray, "prompt response"]:
    """The responses that can be drawn: prompts of weight 0 have none."""
    return (policy > 0.0) & (problem.prompts > 0.0)[:, None]
