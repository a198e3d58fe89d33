"""LUFFY: one completion of each group is the expert's response; its tokens have the loss -A f(p), f(p) = p/(p + gamma).

As in the authors' code (arXiv 2504.14945): the baseline over all K, no division by the standard deviation. Here f(p)
enters as the weight f'(p) p of the policy gradient, which has the same gradient; expert tokens are never clipped.
Otherwise than in their scripts the loss is a token mean, sampled tokens are clipped and there is no entropy bonus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods.base import ONLY_RL, Follows, Method, MethodOptions, SampledTokens, Weights

if TYPE_CHECKING:
    from torch import Tensor


class LuffyOptions(MethodOptions):
    """Of the method `luffy`."""

    gamma: float = Field(default=0.1, gt=0.0, allow_inf_nan=False)
    """Of the shaping p/(p + gamma): small, and unlikely tokens weigh more."""


class Luffy(Method):
    """The expert inside the group."""

    name: ClassVar[str] = "luffy"
    sentence: ClassVar[str] = "one completion of each group is the expert's, its tokens' weight shaped by p/(p + 0.1)"
    source: ClassVar[str] = "Yan et al. 2025, LUFFY (arXiv 2504.14945)"
    cost: ClassVar[str] = "GRPO with one completion of each group not sampled"
    takes: ClassVar[type[MethodOptions]] = LuffyOptions
    trl: ClassVar[Mapping[str, Any]] = {"scale_rewards": "none", "beta": 0.0}
    follows: ClassVar[Follows] = "neither"
    expert_rows: ClassVar[int] = 1
    counts_imitation: ClassVar[bool] = False

    def weights(self, step: int) -> Weights:
        """The RL loss, which holds the expert's response."""
        return ONLY_RL

    def token_advantages(
        self, advantages: Float[Tensor, "row"], tokens: SampledTokens
    ) -> Float[Tensor, "row"] | Float[Tensor, "row token"]:
        """A times p f'(p) = gamma p/(p + gamma)^2 at expert tokens, A at sampled ones."""
        chance, gamma = tokens.logprobs.exp(), self.options.gamma
        shaped = gamma * chance / (chance + gamma) ** 2
        return advantages[:, None] * shaped.where(tokens.is_expert[:, None], shaped.new_ones(()))
