"""SRFT: in one update the expert's responses by SFT and inside the group, and the policy's own completions by sign.

From a re-implementation of arXiv 2506.19767. SFT losses are weighed by 0.5 exp(-H), solved completions by 0.1 exp(H),
the others by -1; H is the mean entropy of the response's tokens, without gradient. The expert's completion of a group
has its group advantage, its tokens shaped as LUFFY's. Deviations: SFT imitates rows of its own, not of the groups;
H of completions is at the sampling temperature; every loss is a token mean over the global batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from interlace.methods.base import ExpertTokens, Follows, Groups, Regrouped, SampledTokens, Weights
from interlace.methods.luffy import Luffy, LuffyOptions

if TYPE_CHECKING:
    from torch import Tensor


class SrftOptions(LuffyOptions):
    """Of the method `srft`."""

    reward_above: float = 0.5
    """Completions that earn more count as solved, reward units."""


class Srft(Luffy):
    """Entropy says how much of each."""

    name: ClassVar[str] = "srft"
    sentence: ClassVar[str] = "SFT, LUFFY's expert in the group, and own completions by sign, weighed by entropy"
    source: ClassVar[str] = "Fu et al. 2025, SRFT (arXiv 2506.19767)"
    cost: ClassVar[str] = "GRPO with one completion of each group not sampled, and an SFT step"
    takes: ClassVar[type[LuffyOptions]] = SrftOptions
    trl: ClassVar[Mapping[str, Any]] = {"beta": 0.0}
    follows: ClassVar[Follows] = "stream"

    def weights(self, step: int) -> Weights:
        """1 and 1; entropy weighs the rest."""
        return Weights(1.0, 1.0)

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """-0.5 exp(-H) log p."""
        return -0.5 * (-tokens.mean_entropy()).exp() * tokens.logprobs

    def regroup(self, groups: Groups) -> Regrouped:
        """1 for own solved completions and -1 for the others; the expert's keep their group advantage."""
        signs = np.where(groups.rewards > self.options.reward_above, 1.0, -1.0).astype(np.float32)
        return Regrouped(np.where(groups.is_expert, groups.advantages, signs))

    def token_advantages(
        self, advantages: Float[Tensor, "row"], tokens: SampledTokens
    ) -> Float[Tensor, "row"] | Float[Tensor, "row token"]:
        """0.1 exp(H) for own solved completions, -1 for the others; LUFFY's for the expert's."""
        shaped = super().token_advantages(advantages, tokens)
        lifted = shaped * 0.1 * tokens.mean_entropy().exp()
        is_solved = (advantages > 0) & ~tokens.is_expert
        return lifted.where(is_solved[:, None], shaped)
