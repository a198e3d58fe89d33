"""Moving logits, and what that changes, by finite differences: the slow twin of every rate of D."""

from __future__ import annotations

import math

import numpy as np

from .problems import loss, mean, normalised

STEP = 1e-4


def moved(policy, velocity, step):
    """The policy whose logits have moved by step x velocity; absent responses stay absent."""
    return normalised(policy * np.exp(step * np.where(policy > 0, velocity, 0.0)))


def slope(function, step=STEP):
    """The derivative of function at 0: central differences, the step's second order removed."""
    near, far = ((function(h) - function(-h)) / (2 * h) for h in (step, 2 * step))
    return (4 * near - far) / 3


def loss_slope(problem, policy, velocity):
    return slope(lambda step: loss(problem, moved(policy, velocity, step)))


def reward_slope(problem, policy, velocity):
    return slope(lambda step: mean(problem, moved(policy, velocity, step), problem.reward))


def pass_rate_in(policy, reward):
    return math.fsum(p for p, r in zip(policy, reward, strict=True) if r == 1.0)


def centred_rows(problem, policy):
    """r - R_x, by loops."""
    means = [math.fsum(p * r for p, r in zip(*row, strict=True)) for row in zip(policy, problem.reward, strict=True)]
    return problem.reward - np.array(means)[:, None]


def square_distance(problem, p, q):
    """X2(p, q), by loops; inf where q misses p."""
    total = 0.0
    for weight, *rows in zip(problem.prompts, p, q, strict=True):
        total += weight * math.fsum(
            (math.inf if b == 0 else (a - b) ** 2 / b) for a, b in zip(*rows, strict=True) if a != b
        )
    return total


def tabular_fisher(problem, policy):
    """The Fisher matrix of one logit a response, prompts weighed."""
    size = policy.size
    matrix = np.zeros((size, size))
    for x, (weight, row) in enumerate(zip(problem.prompts, policy, strict=True)):
        place = slice(x * len(row), (x + 1) * len(row))
        matrix[place, place] = weight * (np.diag(row) - np.outer(row, row))
    return matrix


def tabular_gradients(problem, policy):
    """grad L and grad R by the logits, flat."""
    rho = problem.prompts[:, None]
    return (rho * (policy - problem.expert)).ravel(), (rho * policy * centred_rows(problem, policy)).ravel()
