"""D13: the SFT loss that reward certainly costs, whatever the method: by a bound, and exactly."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.distributional.rl_times import SAME_REWARD
from interlace.theory.finite import FiniteProblem, entropy, over_prompts, reward_range, sft_loss
from interlace.theory.frontier.balance import allowed
from interlace.theory.frontier.joint import joint_optimum
from interlace.theory.roots import increasing_root


def sft_loss_floor(problem: FiniteProblem, reward: float) -> float:
    """D13: no policy that earns `reward` has an SFT loss below H + 2 ((reward - R_D)_+ / w)^2, nats per response.

    w: the range of reward over the supports of reference and expert. Any policy on them, any method; no condition.
    """
    width = reward_range(problem, problem.reference, problem.expert)
    return sft_loss_floor_from_figures(entropy(problem, problem.expert), reward, problem.expert_reward, width)


def sft_loss_floor_from_figures(
    expert_entropy: float, reward: float, expert_reward: float, reward_range: float
) -> float:
    """D13 from figures: `expert_entropy` H in nats per response, rewards in one unit, `reward_range` w >= 0.

    A range of 0 leaves the entropy alone: no policy then earns more than the expert.

    >>> sft_loss_floor_from_figures(expert_entropy=0.5, reward=0.9, expert_reward=0.8, reward_range=1.0)
    0.52
    """
    excess = max(0.0, reward - expert_reward)
    return expert_entropy + (2.0 * (excess / reward_range) ** 2 if reward_range > 0.0 else 0.0)


def least_sft_loss(problem: FiniteProblem, reward: float) -> float:
    """D13, the exact floor: the least SFT loss of any policy on the allowed responses that earns at least `reward`.

    Nats per response. The entropy H up to R_D; beyond it the front (D9) at that reward; inf from E_x max r on, which is
    earned only without some of the expert's responses (a reward within 1e-12 of its size of that end counts as it).

    Raises DataError if `reward` is not a number. Cost: some twenty joint optima.

    An even expert, rewards 0 and 1, pass rate 1/sqrt(2) (lambda = 1 in D9):

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    >>> rate = math.sqrt(0.5)
    >>> bool(np.isclose(least_sft_loss(problem, rate), -0.5 * math.log(rate * (1.0 - rate))))
    True
    """
    if math.isnan(reward):
        raise DataError("reward must be a number. Got nan. Give the mean reward that a policy should earn.")
    best = np.where(allowed(problem), problem.reward, -np.inf).max(axis=-1)
    wanted = float(over_prompts(problem, best)) - reward
    of_expert = _below_best(problem, problem.expert)
    same = SAME_REWARD * float(over_prompts(problem, (allowed(problem) * np.abs(problem.reward)).max(axis=-1)))
    if wanted >= of_expert or (of_expert <= same and wanted >= -same):
        return entropy(problem, problem.expert)
    return math.inf if wanted <= same else sft_loss(problem, _front_policy(problem, wanted, of_expert))


def _front_policy(problem: FiniteProblem, wanted: float, of_expert: float) -> Float[np.ndarray, "prompt response"]:
    """The front's policy that earns E_x max r - `wanted`; the expert itself is `of_expert` > `wanted` below."""

    def progress(inverse_rate: float) -> float:
        if inverse_rate == 0.0:
            return math.log(wanted / of_expert)
        return math.log(wanted / _below_best(problem, joint_optimum(problem, 1.0 / inverse_rate)))

    # The front's reward falls with the exchange rate, so its inverse is the rising coordinate.
    widest = reward_range(problem, problem.reference, problem.expert)
    return joint_optimum(problem, 1.0 / increasing_root(progress, 0.0, 1.0 / widest))


def _below_best(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> float:
    """E_x max r over the allowed responses - R(policy), without cancellation."""
    best = np.where(allowed(problem), problem.reward, -np.inf).max(axis=-1, keepdims=True)
    return float(over_prompts(problem, (policy * (best - problem.reward)).sum(axis=-1)))
