"""Finite problems, and the functionals of a policy on them: everything enumerated, nothing sampled.

Conventions of the whole theory: a policy is an array ``[prompt, response]`` whose rows sum to 1; functionals take
``(problem, policy)`` and divergences ``(problem, p, q)``; averages over prompts use `FiniteProblem.prompts`;
0 log 0 = 0; an infinite answer is `math.inf`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from interlace.errors import DataError

ROW_TOLERANCE = 1e-9
"""How far a row of probabilities may be from summing to 1."""


@dataclass(frozen=True, eq=False)
class FiniteProblem:
    """Prompts with finitely many responses each: what the exact laws are stated on.

    `prompts` are weights that sum to 1; rows of `reference` (the policy at the start of RL) and `expert` (p_D) sum to
    1; `reward` is r(prompt, response). A response slot that a prompt lacks has probability 0 in both; its reward must
    only be finite, and counts as 0. Arrays are copied as float64 and cannot be written to.

    Laws A1, A3, A4 and A5 see a problem only through its laws of reward, so response slots may also be lumped by
    reward (`reward_problem`); functionals that read probabilities of responses (`sft_loss`, `kl`) then mean nothing.

    Raises DataError if a shape, a sign, a sum or a number is not as said.
    """

    prompts: Float[np.ndarray, "prompt"]
    reference: Float[np.ndarray, "prompt response"]
    expert: Float[np.ndarray, "prompt response"]
    reward: Float[np.ndarray, "prompt response"]

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, field.name, values)
        _check_shapes(self)
        for name in ("prompts", "reference", "expert"):
            check_distribution(name, getattr(self, name))
        if not np.isfinite(self.reward).all():
            raise DataError("reward must be finite everywhere. Got NaN or infinity. Put 0 into slots a prompt lacks.")
        there = (self.reference > 0.0) | (self.expert > 0.0)
        object.__setattr__(self, "reward", np.where(there, self.reward, 0.0))
        self.reward.setflags(write=False)

    @property
    def support(self) -> Bool[np.ndarray, "prompt response"]:
        """The responses that the reference can give: the RL path never leaves them."""
        return self.reference > 0.0

    @property
    def expert_reward(self) -> float:
        """R_D, the expert's mean reward."""
        return expected_reward(self, self.expert)


def reward_problem(
    values: Float[np.ndarray, "prompt atom"],
    probabilities: Float[np.ndarray, "prompt atom"],
    expert_reward: Float[np.ndarray, "prompt"],
    prompts: Float[np.ndarray, "prompt"] | None = None,
) -> FiniteProblem:
    """The problem lumped by reward: all that A1, A3, A4 and A5 need, from laws of reward alone.

    Slots are the atoms of the reference's law of reward, and one more for the expert's mean reward (those laws see the
    expert through it only). `prompts` defaults to equal weights.
    """
    num_prompts, num_atoms = values.shape
    expert = np.zeros((num_prompts, num_atoms + 1))
    expert[:, -1] = 1.0
    return FiniteProblem(
        prompts=np.full(num_prompts, 1.0 / num_prompts) if prompts is None else prompts,
        reference=np.pad(probabilities, ((0, 0), (0, 1))),
        expert=expert,
        reward=np.column_stack([values, expert_reward]),
    )


def binary_problem(
    pass_rates: Float[np.ndarray, "prompt"],
    expert_reward: float | Float[np.ndarray, "prompt"],
    prompts: Float[np.ndarray, "prompt"] | None = None,
) -> FiniteProblem:
    """Two responses a prompt, right (reward 1) and wrong (reward 0), from the reference's pass rates.

    `expert_reward`: the expert's pass rate, one number or one a prompt; `prompts` defaults to equal weights. Raises
    DataError if a rate is not in [0, 1].

    >>> binary_problem(np.array([0.25, 0.75]), 0.5).expert_reward
    0.5
    """
    rates = np.asarray(pass_rates, dtype=np.float64)
    expert = np.broadcast_to(expert_reward, rates.shape)
    return FiniteProblem(
        prompts=np.full(rates.size, 1.0 / rates.size) if prompts is None else prompts,
        reference=np.column_stack([rates, 1.0 - rates]),
        expert=np.column_stack([expert, 1.0 - expert]),
        reward=np.tile([1.0, 0.0], (rates.size, 1)),
    )


def over_prompts(problem: FiniteProblem, values: Float[np.ndarray, "*batch prompt"]) -> Float[np.ndarray, "*batch"]:
    """E_x of `values`; prompts of weight 0 do not count, whatever their value."""
    return np.asarray(np.where(problem.prompts > 0.0, values, 0.0) @ problem.prompts)


def prompt_reward(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> Float[np.ndarray, "prompt"]:
    """R_x: the expected reward within each prompt, reward units."""
    _check_tables(problem, policy)
    return (policy * problem.reward).sum(axis=-1)


def expected_reward(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """R(policy) = E_x R_x, reward units."""
    return float(over_prompts(problem, prompt_reward(problem, policy)))


def reward_difference(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> float:
    """R(p) - R(q), reward units, without the digits that a difference of means would lose; 0 exactly if p is q."""
    _check_tables(problem, p, q)
    used = (p > 0.0) | (q > 0.0)
    best = np.where(used, problem.reward, -np.inf).max(axis=-1, keepdims=True)
    return float(over_prompts(problem, ((p - q) * np.where(used, problem.reward - best, 0.0)).sum(axis=-1)))


def reward_variance(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """V(policy): the reward's variance WITHIN prompts, averaged over them (never the pooled one)."""
    return _central_moment(problem, policy, order=2)


def third_central_moment(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """E_x k3: the reward's third central moment within prompts, averaged over them."""
    return _central_moment(problem, policy, order=3)


def sft_loss(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """L(policy) = E_x E_{y ~ expert}[-log policy(y | x)], nats per response; inf where the policy misses the expert."""
    _check_tables(problem, policy)
    return float(over_prompts(problem, -special.xlogy(problem.expert, policy).sum(axis=-1)))


def entropy(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """E_x H(policy(. | x)), nats per response. The expert's entropy is the least SFT loss there is."""
    _check_tables(problem, policy)
    return float(over_prompts(problem, special.entr(policy).sum(axis=-1)))


def kl(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> float:
    """E_x KL(p(. | x) to q(. | x)), nats."""
    _check_tables(problem, p, q)
    # x log(x/y) - x + y: no term is negative, so that none cancels another's digits.
    return max(0.0, float(over_prompts(problem, special.kl_div(p, q).sum(axis=-1))))


def chi_square(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> float:
    """X2(p, q) = E_x[sum p^2/q - 1]; inf where q misses p."""
    _check_tables(problem, p, q)
    gap = np.square(p - q)
    ratio = np.divide(gap, q, out=np.where(gap > 0.0, np.inf, 0.0), where=q > 0.0)
    return float(over_prompts(problem, ratio.sum(axis=-1)))


def total_variation(
    problem: FiniteProblem, p: Float[np.ndarray, "prompt response"], q: Float[np.ndarray, "prompt response"]
) -> float:
    """E_x TV(p(. | x), q(. | x)), in [0, 1]."""
    _check_tables(problem, p, q)
    return float(over_prompts(problem, 0.5 * np.abs(p - q).sum(axis=-1)))


def below_top(problem: FiniteProblem) -> Float[np.ndarray, "prompt response"]:
    """r - top(x) <= 0 on the reference's support, 0 off it: rewards counted from the best one."""
    return np.where(problem.support, problem.reward - top_reward(problem)[:, None], 0.0)


def top_reward(problem: FiniteProblem) -> Float[np.ndarray, "prompt"]:
    """top(x): the greatest reward within each prompt that the reference can earn."""
    return np.where(problem.support, problem.reward, -np.inf).max(axis=-1)


def reward_range(problem: FiniteProblem, *policies: Float[np.ndarray, "prompt response"]) -> float:
    """w: the widest range of reward within one prompt, over the joint support of `policies` (default: the reference).

    Prompts of weight 0 do not count.

    >>> half = np.full((2, 2), 0.5)
    >>> problem = FiniteProblem(np.array([0.5, 0.5]), half, half, np.array([[0.0, 1.0], [2.0, 5.0]]))
    >>> reward_range(problem)
    3.0
    """
    support = np.any([policy > 0.0 for policy in policies or (problem.reference,)], axis=0)
    highest = np.where(support, problem.reward, -np.inf).max(axis=-1)
    lowest = np.where(support, problem.reward, np.inf).min(axis=-1)
    return float((highest - lowest)[problem.prompts > 0.0].max())


def _central_moment(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"], order: int) -> float:
    deviation = problem.reward - prompt_reward(problem, policy)[:, None]
    return float(over_prompts(problem, (policy * deviation**order).sum(axis=-1)))


def _check_tables(problem: FiniteProblem, *policies: Float[np.ndarray, "prompt response"]) -> None:
    """Raise DataError for a policy of another shape than the problem's, which would be broadcast in silence."""
    for policy in policies:
        if np.shape(policy) != problem.reference.shape:
            expected = f"the problem's shape {problem.reference.shape}. Got {np.shape(policy)}"
            raise DataError(f"a policy must have {expected}. Give a row a prompt, a number a response.")


def _check_shapes(problem: FiniteProblem) -> None:
    if problem.prompts.ndim != 1 or problem.prompts.size == 0:
        raise DataError(f"prompts must be a list of weights. Got shape {problem.prompts.shape}. Give one a prompt.")
    rows = problem.prompts.size
    for name in ("reference", "expert", "reward"):
        shape = getattr(problem, name).shape
        if len(shape) != 2 or shape[0] != rows or shape[1] == 0:
            raise DataError(f"{name} must have one row a prompt ({rows}). Got shape {shape}. Give a table.")
        if shape != problem.reference.shape:
            raise DataError(
                f"{name} must have the reference's shape {problem.reference.shape}. Got {shape}. "
                "Pad slots that a prompt lacks with probability 0."
            )


def check_distribution(name: str, values: np.ndarray) -> None:
    """Raises DataError unless `values` are probabilities that sum to 1, row by row; `name` is what it calls them."""
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise DataError(f"{name} must hold probabilities. Got a negative or non-finite number. Check its entries.")
    off = np.abs(values.sum(axis=-1) - 1.0)
    if off.max() > ROW_TOLERANCE:
        where = f" in row {int(off.argmax()) + 1} of {len(values)}" if values.ndim > 1 else ""
        total = float(np.atleast_1d(values.sum(axis=-1))[int(off.argmax())])
        raise DataError(f"{name} must sum to 1{where}. Got {total!r}. Divide by the sum.")
