"""Frontier step: each prompt's joint optimum (D9) is what is imitated.

The policy of greatest R - lambda L gives an expert response y the probability lambda p_D(y)/(nu - r(y)), and what is
left to rewarded responses that the expert never gives. Both are imitated with these weights: all responses of the
expert, and with the rest the best of the policy's own completions. So it is told more than other methods: p_D, as the
task has it (the true one where it is known, else the frequencies in the data), and the reward of each expert response.
Sampling is for discovery alone: the target is that of the responses known to be there, the expert's and the group's,
and where the expert's own hold the best reward nothing that is sampled can change it. A prompt that the expert does not
answer has no SFT loss: its optimum is all on what earns most, and the best of its completions is imitated where they
earn differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from interlace.methods.base import Follows, Groups, Imitated, Method, MethodOptions, Regrouped, Weights
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import joint_optimum


class FrontierOptions(MethodOptions):
    """Of the method `frontier`."""

    exchange_rate: float = Field(default=0.5, gt=0.0, allow_inf_nan=False)
    """lambda: reward units that a nat/response of SFT loss is worth. Small: towards the best responses alone."""


class Frontier(Method):
    """Cross-entropy to the joint optimum of each prompt."""

    name: ClassVar[str] = "frontier"
    sentence: ClassVar[str] = "imitates each prompt's best policy of R - lambda L, from the expert's known distribution"
    source: ClassVar[str] = "interlace: D9"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "sampling, and an SFT step on every expert response of the prompts"
    takes: ClassVar[type[MethodOptions]] = FrontierOptions
    follows: ClassVar[Follows] = "groups"
    reads_expert_rewards: ClassVar[bool] = True
    knows_expert: ClassVar[bool] = True

    @property
    def exchange_rate(self) -> float:
        """lambda, reward units a nat."""
        return float(self.options.exchange_rate)

    def weights(self, step: int) -> Weights:
        """Imitation alone; the reward is in its weights."""
        return Weights(0.0, 1.0)

    def regroup(self, groups: Groups) -> Regrouped:
        """Of every prompt its expert responses and, where they are better, its own, by their optimal probability."""
        imitated = tuple(item for prompt in range(groups.num_prompts) for item in self._target(groups, prompt))
        return Regrouped(groups.advantages, imitated)

    def expected_rows(self, responses: float, answered: float) -> float:
        """All that the expert gives, and one completion to a prompt that it does not answer."""
        return super().expected_rows(responses, answered) + self.plan.prompts * (1.0 - answered)

    def _target(self, groups: Groups, prompt: int) -> Iterator[Imitated]:
        if not groups.is_answered[prompt]:
            yield from _best_of(groups, prompt)
            return
        responses = groups.responses(prompt)
        given = {item.response.response for item in responses}
        rewards = groups.rewards[prompt]
        own = [groups.own(prompt, place) for place in range(rewards.size)]
        found = [(float(reward), item) for reward, item in zip(rewards, own, strict=True) if item.response not in given]
        best = max(found, key=lambda pair: pair[0], default=None)
        expert = np.array([[*(item.probability for item in responses), 0.0]])
        reward = np.array([[*(item.reward for item in responses), 0.0 if best is None else best[0]]])
        reference = np.where(expert > 0.0, 0.5, 0.0 if best is None else 0.5)
        problem = FiniteProblem(np.ones(1), reference / reference.sum(), expert, reward)
        optimum = joint_optimum(problem, self.exchange_rate)[0]
        for item, weight in zip(responses, optimum, strict=False):
            yield Imitated(item.response, float(weight))
        if best is not None and optimum[-1] > 0.0:
            yield Imitated(best[1], float(optimum[-1]), is_own=True)


def _best_of(groups: Groups, prompt: int) -> Iterator[Imitated]:
    """The first of a prompt's best completions, if it is better than their mean."""
    rewards = groups.rewards[prompt]
    best = int(rewards.argmax())
    if rewards[best] > rewards.mean():
        yield Imitated(groups.own(prompt, best), is_own=True)
