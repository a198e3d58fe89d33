"""The mirrored forecast: what SFT on the expert's data does to a policy that RL has left (A8, D8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure, Unresolved
from interlace.forecasting.paths import PromptPaths
from interlace.statistics import influence_interval, mean_interval
from interlace.theory.finite import FiniteProblem
from interlace.theory.paths import optimal_sft_weight


@dataclass(frozen=True, slots=True)
class SftAfterRl:
    """SFT on the mixture line from RL's last policy to the expert.

    `reward_before`, `reward_at_end`: RL's and the expert's, reward units; `first_cost`, `whole_cost`: reward lost for
    each nat gained, at the first step and over the whole way; `weight`: how far to go for the exchange rate that was
    asked for (1: all the way; None: none was asked for).
    """

    reward_before: Figure
    reward_at_end: Figure
    first_cost: Figure
    whole_cost: Figure
    weight: float | None


def sft_after_rl(paths: PromptPaths, exchange_rate: float | None = None) -> SftAfterRl:
    """D8 from the end of a path."""
    start, policy = paths.start, paths.log_policy[-1]
    expert = start.held.per_prompt(start.held.reward)
    lost = paths.reward[-1] - expert
    chi_square, divergence = paths.at_end(_distances)
    return SftAfterRl(
        reward_before=mean_interval(paths.reward[-1], unit="reward units"),
        reward_at_end=mean_interval(expert, unit="reward units"),
        first_cost=_cost(lost, chi_square),
        whole_cost=_cost(lost, divergence),
        weight=None if exchange_rate is None else optimal_sft_weight(start.problem, np.exp(policy), exchange_rate),
    )


def _cost(lost: Float[np.ndarray, "prompt"], gained: Float[np.ndarray, "prompt"]) -> Figure:
    if not np.isfinite(gained).all():
        return Unresolved("the policy misses a response of the expert: the first nats are free")
    if lost.mean() <= 0.0:
        return Unresolved("the policy earns no more than the expert: SFT takes no reward")
    value = float(lost.mean() / gained.mean())
    influence = (lost - value * gained) / gained.mean()
    method = "linearised ratio over prompts"
    return influence_interval(value, influence, unit="reward units per nat/response", method=method)


def _distances(
    problem: FiniteProblem, log_policy: Float[np.ndarray, "row slot"]
) -> tuple[Float[np.ndarray, "row"], Float[np.ndarray, "row"]]:
    """X2(p_D, pi) and KL(p_D, pi) of each row."""
    given = problem.expert > 0.0
    log_expert = np.log(np.where(given, problem.expert, 1.0))
    with np.errstate(over="ignore"):
        ratio = np.where(given, np.exp(2.0 * log_expert - log_policy), 0.0)
    divergence = np.multiply(problem.expert, log_expert - log_policy, out=np.zeros_like(ratio), where=given)
    return np.where(np.isfinite(ratio).all(axis=-1), ratio.sum(axis=-1) - 1.0, math.inf), divergence.sum(axis=-1)
