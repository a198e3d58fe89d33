"""GIFT: SFT towards softmax(log p_start + beta 1[expert token]) in place of the expert's token alone, where p_start is
the policy at the stage's start. Imitation alone: the paper puts RL after it (arXiv 2601.09233)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods.base import ONLY_SFT, ExpertTokens, Method, MethodOptions, Weights

if TYPE_CHECKING:
    from torch import Tensor


class GiftOptions(MethodOptions):
    """Of the method `gift`."""

    beta: float = Field(default=20.0, gt=0.0, allow_inf_nan=False)
    """By how much the expert token's log-probability is raised, nats; large: plain SFT."""


class Gift(Method):
    """Cross-entropy to the start's distribution, tilted towards the expert's token."""

    name: ClassVar[str] = "gift"
    sentence: ClassVar[str] = "imitation alone, of the start's distribution tilted towards the expert's token"
    source: ClassVar[str] = "GIFT (arXiv 2601.09233)"
    cost: ClassVar[str] = "an SFT step and the start's forward"
    takes: ClassVar[type[MethodOptions]] = GiftOptions
    reads_distributions: ClassVar[bool] = True

    def weights(self, step: int) -> Weights:
        """Imitation alone."""
        return ONLY_SFT

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """-sum over v of q_v log p_v, q the tilted start: its expert token has e^beta p / (1 + (e^beta - 1) p)."""
        start, beta = tokens.start_logprobs, self.options.beta
        chosen = start.gather(-1, tokens.ids[..., None]).squeeze(-1)
        lifted = chosen + beta + math.log(-math.expm1(-beta))  # log of (e^beta - 1) p, which may overflow itself
        others = (start.exp() * tokens.every_logprob).sum(-1)
        return -(others * (-lifted).sigmoid() + tokens.logprobs * lifted.sigmoid())
