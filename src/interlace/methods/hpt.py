"""HPT: a prompt whose group passes too seldom is imitated, any other is reinforced.

As in the authors' code (arXiv 2509.04419): advantages without division by the standard deviation, no KL, the imitated
responses' token mean with coefficient 1 however few they are. Otherwise than there, TRL's ratio is clipped and its loss
is a token mean; with one update a batch of generations there is nothing to clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from interlace.methods.base import Follows, Groups, Imitated, Method, MethodOptions, Plan, Regrouped, Weights


class HptOptions(MethodOptions):
    """Of the method `hpt`."""

    gate: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of a group that passes, up to which its prompt is imitated (2 of 8 in the paper for a weak start)."""
    reward_above: float = 0.5
    """Completions that earn more pass, reward units."""
    weight: Literal["fixed", "share"] = "fixed"
    """Of the failed prompts' token mean: 1, as in the authors' code, or their share of the prompts, so that every
    prompt counts alike."""


class Hpt(Method):
    """A switch for each prompt."""

    name: ClassVar[str] = "hpt"
    sentence: ClassVar[str] = "prompts whose groups fail are imitated, the others reinforced"
    source: ClassVar[str] = "Lv et al. 2025, HPT (arXiv 2509.04419)"
    cost: ClassVar[str] = "GRPO and an SFT step on the prompts that failed"
    takes: ClassVar[type[MethodOptions]] = HptOptions
    trl: ClassVar[Mapping[str, Any]] = {"scale_rewards": "none", "beta": 0.0}
    follows: ClassVar[Follows] = "groups"

    def __init__(self, options: Any, plan: Plan) -> None:
        super().__init__(options, plan)
        self._failed = 0.0

    @property
    def gate(self) -> float:
        """Share of a group that passes, up to which its prompt is imitated."""
        return float(self.options.gate)

    def weights(self, step: int) -> Weights:
        """1 and 1; the switch decides."""
        return Weights(1.0, 1.0)

    def imitation(self, weights: Weights) -> float | None:
        """The share of prompts that are imitated, whatever their weight: a coin for each prompt has that rate."""
        return self._failed

    def regroup(self, groups: Groups) -> Regrouped:
        """No advantage where the expert is imitated; a prompt that it does not answer is reinforced."""
        passed = (groups.rewards > self.options.reward_above).mean(axis=1)
        failed = (passed <= self.gate) & groups.is_answered
        imitated = tuple(Imitated(groups.expert(prompt)) for prompt in failed.nonzero()[0].tolist())
        advantages = np.where(failed[:, None], np.float32(0.0), groups.advantages)
        self._failed = float(failed.mean())
        return Regrouped(advantages, imitated, self._failed if self.options.weight == "share" else 1.0)
