"""The equation of a prompt behind the joint optimum (D9) and the interleaved cycle (D11), and what it leaves over.

Both optima have the form weight / (v slope + offset) on the expert's responses, v the number that makes them sum to 1.
If a response that the expert never gives earns more than v allows for, v is held at it and the rest goes there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from interlace.theory.finite import FiniteProblem

SMALLEST_STEP = 4 * 2.0**-52
"""Newton's steps below this share of v are rounding."""

MOST_STEPS = 200
"""Five to ten are usual."""


class Rewards(NamedTuple):
    """Rewards of a prompt seen from the expert: `best`, the expert's best one; `gap`, best - r.

    `lead`: how far the best allowed response that the expert never gives is above `best` (-inf if there is none);
    `share`: who holds it, ties in proportion to the reference (0 elsewhere).
    """

    best: Float[np.ndarray, "prompt"]
    gap: Float[np.ndarray, "prompt response"]
    lead: Float[np.ndarray, "prompt"]
    share: Float[np.ndarray, "prompt response"]


def allowed(problem: FiniteProblem) -> Bool[np.ndarray, "prompt response"]:
    """The responses that the reference or the expert can give."""
    return problem.support | (problem.expert > 0.0)


def rewards_from_expert(problem: FiniteProblem) -> Rewards:
    """What of the rewards D9 and D11 need."""
    given = problem.expert > 0.0
    best = np.where(given, problem.reward, -np.inf).max(axis=-1)
    other = np.where(problem.support & ~given, problem.reward, -np.inf)
    rival = other.max(axis=-1)
    held = np.where(problem.support & (other == rival[:, None]), problem.reference, 0.0)
    mass = held.sum(axis=-1, keepdims=True)
    share = np.divide(held, mass, out=np.zeros_like(held), where=mass > 0.0)
    return Rewards(best, best[:, None] - problem.reward, rival - best, share)


def balance(
    weight: Float[np.ndarray, "prompt response"],
    slope: Float[np.ndarray, "prompt response"],
    offset: Float[np.ndarray, "prompt response"],
) -> Float[np.ndarray, "prompt"]:
    """The v > 0 of each row at which sum weight / (v slope + offset) = 1, to the last digits.

    All >= 0; each row has a weight > 0 with offset 0, there with slope 1, and a sum of at most 1 at v = 1. Two ways to
    go up from below without passing the root, both quadratic near it, and the longer step is taken: Newton on the
    harmonic mean 1/sum, which is concave in v; and keeping the pole at 0 as it is (best responses of tiny weight).

    >>> balance(np.array([[0.5, 0.5]]), np.ones((1, 2)), np.array([[0.0, 1.0]])).round(12).tolist()
    [0.707106781187]
    """
    alone = np.where(offset == 0.0, weight, 0.0).sum(axis=-1)
    others = np.where(offset == 0.0, 0.0, weight)
    v = np.maximum(alone, _harmonic_bound(weight, slope, offset))
    for _ in range(MOST_STEPS):
        share = others / (v[:, None] * slope + offset)
        rest = share.sum(axis=-1)
        fall = (share * slope / (v[:, None] * slope + offset)).sum(axis=-1)
        raised = np.maximum(_newton(v, alone, rest, fall), _pole_kept(v, alone, rest, fall))
        if not (raised > (1.0 + SMALLEST_STEP) * v).any():
            break
        v = np.maximum(v, raised)
    return v


def _harmonic_bound(
    weight: Float[np.ndarray, "prompt response"],
    slope: Float[np.ndarray, "prompt response"],
    offset: Float[np.ndarray, "prompt response"],
) -> Float[np.ndarray, "prompt"]:
    """A v at or below the root: the arithmetic mean put for the harmonic one."""
    total = weight.sum(axis=-1)
    return (total * total - (weight * offset).sum(axis=-1)) / (weight * slope).sum(axis=-1)


def _newton(
    v: Float[np.ndarray, "prompt"],
    alone: Float[np.ndarray, "prompt"],
    rest: Float[np.ndarray, "prompt"],
    fall: Float[np.ndarray, "prompt"],
) -> Float[np.ndarray, "prompt"]:
    """Newton's next v on 1/sum, the sum being alone/v + `rest` and `fall` the fall of `rest` with v."""
    total = alone / v + rest
    return v + total * (total - 1.0) * v / (alone / v + fall * v)


def _pole_kept(
    v: Float[np.ndarray, "prompt"],
    alone: Float[np.ndarray, "prompt"],
    rest: Float[np.ndarray, "prompt"],
    fall: Float[np.ndarray, "prompt"],
) -> Float[np.ndarray, "prompt"]:
    """The x at which alone/x + the tangent of `rest` at v is 1: below the root as well, `rest` being convex."""
    level = rest - 1.0 + fall * v
    spread = np.sqrt(level * level + 4.0 * fall * alone)
    rising = level > 0.0
    numerator, denominator = np.where(rising, level + spread, 2.0 * alone), np.where(rising, 2.0 * fall, spread - level)
    return numerator / denominator
