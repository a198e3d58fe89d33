"""Positive-example loss: RL, and the likelihood of the policy's own rewarded completions. VAPO adds it to PPO with a
value model; here it stands beside GRPO."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from interlace.methods.base import Follows, Groups, Imitated, Method, MethodOptions, Regrouped, Weights


class PositiveLmOptions(MethodOptions):
    """Of the method `positive_lm`."""

    mu: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    """Weight of the completions' token mean beside the RL loss."""
    reward_above: float = 0.5
    """Completions that earn more count as positive, reward units."""


class PositiveLm(Method):
    """Own successes are imitated."""

    name: ClassVar[str] = "positive_lm"
    sentence: ClassVar[str] = "RL, and imitation of the policy's own rewarded completions"
    source: ClassVar[str] = "VAPO's positive-example LM loss (arXiv 2504.05118)"
    cost: ClassVar[str] = "GRPO and up to one more forward and backward"
    takes: ClassVar[type[MethodOptions]] = PositiveLmOptions
    follows: ClassVar[Follows] = "groups"

    def weights(self, step: int) -> Weights:
        """1 and mu."""
        return Weights(1.0, self.options.mu)

    def regroup(self, groups: Groups) -> Regrouped:
        """Every completion above the bound is imitated."""
        rewarded = np.argwhere(groups.rewards > self.options.reward_above).tolist()
        own = tuple(Imitated(groups.own(prompt, place), is_own=True) for prompt, place in rewarded)
        return Regrouped(groups.advantages, own)

    def expected_rows(self, responses: float, answered: float) -> float:
        """At most every completion."""
        return float(self.plan.prompts * self.plan.group_size)
