"""The best that any policy could be from the start that the arms of a run share (D9), with the expert known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from interlace.analysis.trajectory import Snapshot
from interlace.estimate import Unresolved
from interlace.forecasting import Start, start_of
from interlace.theory.finite import entropy, sft_loss
from interlace.theory.frontier import Front, front, joint_optimum, joint_value, least_sft_loss

RATES = np.geomspace(0.02, 20.0, 61)
"""Exchange rates at which the front is drawn, reward units a nat."""
SMALL = 1e-4
"""A step of reward, for the front's slope."""

PerPrompt = Float[np.ndarray, "prompt"]


@dataclass(frozen=True, eq=False)
class Limit:
    """What is known of the start: of the rewarded task, and of the imitated one (the same object where it is the same
    task). Where an expert is not known there is no Limit."""

    rewarded: Start
    imitated: Start

    @property
    def is_one_task(self) -> bool:
        """Whether reward and SFT loss trade on the same prompts."""
        return self.rewarded is self.imitated

    @cached_property
    def front(self) -> Front | None:
        """Where no policy is better in both; None for two tasks, whose objectives need not cost each other anything."""
        return front(self.rewarded.problem, RATES) if self.is_one_task else None

    def most_value(self, exchange_rate: float) -> float:
        """The greatest R - lambda L of all policies, reward units."""
        if self.is_one_task:
            return joint_value(self.rewarded.problem, exchange_rate)
        expert = self.imitated.problem.expert
        return self.rewarded.reward_range[1] - exchange_rate * sft_loss(self.imitated.problem, expert)

    def area(self, low: float, ceiling: float) -> float | None:
        """What the front dominates right of reward `low` and under SFT loss `ceiling`, reward units times nats."""
        if self.front is None:
            return None
        order = np.argsort(self.front.reward)
        rewards = np.linspace(low, self.rewarded.reward_range[1], 2001)
        losses = np.interp(rewards, self.front.reward[order], self.front.sft_loss[order], right=np.inf)
        return float(np.clip(ceiling - losses, 0.0, None).mean() * (rewards[-1] - low))

    def excess(self, loss: PerPrompt, rewards: Float[np.ndarray, "rewarded_prompt"]) -> PerPrompt | None:
        """Each prompt's part of the SFT loss over the least that any policy has at the mean of `rewards` (D9, D13);
        None beyond the most reward there is.

        To first order it is the prompt's own regret: (L - L*) - s (R - R*), with s the front's slope there and the
        stars at the front's policy of that slope. It is then shifted so that the mean is the excess exactly. Of two
        tasks: over the expert's entropy.
        """
        problem, reward = self.imitated.problem, float(rewards.mean())
        if not self.is_one_task:
            regret = loss - self.imitated.per_prompt(_cross_entropies(problem.expert, problem.expert))
            return np.asarray(regret - regret.mean() + loss.mean() - entropy(problem, problem.expert))
        floor, beyond = least_sft_loss(problem, reward), least_sft_loss(problem, reward + SMALL)
        if not np.isfinite([floor, beyond]).all():
            return None
        slope = (beyond - floor) / SMALL
        best = problem.expert if slope <= 0.0 else joint_optimum(problem, 1.0 / slope)
        regret = loss - self.imitated.per_prompt(_cross_entropies(problem.expert, best))
        regret -= slope * (rewards - self.imitated.per_prompt((best * problem.reward).sum(axis=-1)))
        return np.asarray(regret - regret.mean() + (loss.mean() - floor))


def limit_of(rewarded: Snapshot, imitated: Snapshot) -> Limit | None:
    """The limit from a start; None where an expert is not known, or the start does not tell enough."""
    of_reward = _start(rewarded)
    of_loss = of_reward if rewarded is imitated else _start(imitated)
    return None if of_reward is None or of_loss is None else Limit(of_reward, of_loss)


def _start(snapshot: Snapshot) -> Start | None:
    if not snapshot.held.expert_is_known:
        return None
    found = start_of(snapshot.held, snapshot.scores)
    return None if isinstance(found, Unresolved) else found


def _cross_entropies(
    expert: Float[np.ndarray, "row response"], policy: Float[np.ndarray, "row response"]
) -> Float[np.ndarray, "row"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(expert > 0.0, expert * np.log(policy), 0.0).sum(axis=-1)
