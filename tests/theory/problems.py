"""Finite problems for hypothesis, and the obvious slow twin of each functional: Python loops and math.fsum."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from interlace.theory.finite import FiniteProblem

REWARDS = ("binary", "constant", "continuous")
EXPERTS = ("dense", "sparse", "reference", "perfect")


@st.composite
def problems(draw, rewards=REWARDS, experts=EXPERTS):
    """1 to 4 prompts, 2 to 12 responses, some slots absent; reference and expert as named in `experts`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return make_problem(rng, draw(st.integers(1, 4)), draw(st.integers(2, 12)), draw(st.sampled_from(rewards)),
                        draw(st.sampled_from(experts)))  # fmt: skip


def make_problem(rng, num_prompts, num_responses, rewards, experts):
    shape = (num_prompts, num_responses)
    present = rng.random(shape) < 0.8
    present[:, :2] = True
    reference = normalised(present * rng.gamma(0.7, size=shape).clip(1e-6))
    reward = {
        "binary": lambda: np.column_stack([np.tile([1.0, 0.0], (num_prompts, 1)), rng.integers(0, 2, shape)])[
            :, : shape[1]
        ],
        "constant": lambda: np.broadcast_to(rng.normal(size=(num_prompts, 1)), shape),
        "continuous": lambda: rng.normal(size=shape),
    }[rewards]()
    best = np.where(present, reward, -np.inf).max(axis=1, keepdims=True) == reward
    expert = {
        "dense": lambda: normalised(present * rng.gamma(0.7, size=shape).clip(1e-6)),
        "sparse": lambda: normalised(present * (np.arange(num_responses) == rng.integers(0, 2)) * 1.0),
        "reference": lambda: reference,
        "perfect": lambda: normalised(present * best * rng.random(shape).clip(1e-3)),
    }[experts]()
    return FiniteProblem(normalised(rng.random((1, num_prompts)) + 0.05)[0], reference, expert, reward)


def make_policy(rng, problem):
    """Any policy on the reference's support."""
    return normalised(problem.support * rng.gamma(0.7, size=problem.reference.shape).clip(1e-6))


def normalised(weights):
    return weights / weights.sum(axis=1, keepdims=True)


def mean(problem, policy, values):
    """E_x E_{y ~ policy} of values[x][y], skipping what has probability 0."""
    return math.fsum(
        problem.prompts[x] * policy[x][y] * values[x][y]
        for x in range(policy.shape[0])
        for y in range(policy.shape[1])
        if policy[x][y] > 0
    )


def tilted(problem, rl_time):
    """reference exp(tau r) / Z, response by response."""
    rows = []
    for reference, reward in zip(problem.reference, problem.reward, strict=True):
        weights = [p * math.exp(rl_time * r) for p, r in zip(reference, reward, strict=True)]
        rows.append([weight / math.fsum(weights) for weight in weights])
    return np.array(rows)


def loss(problem, policy):
    """L(policy), response by response."""
    return mean(problem, problem.expert, [[-math.log(p) if p > 0 else math.inf for p in row] for row in policy])


def divergence(problem, p, q):
    """KL(p, q), response by response."""
    ratio = [[math.log(a / b) if a > 0 else 0.0 for a, b in zip(*rows, strict=True)] for rows in zip(p, q, strict=True)]
    return mean(problem, p, ratio)


def one_prompt(reference, expert, reward):
    return FiniteProblem(np.ones(1), np.array([reference]), np.array([expert]), np.array([reward]))
