"""Known second hand (notes on arXiv 2507.01679; no authors' code was read): Prefix-RFT.

The first completion of each group goes on from the beginning of an expert response, whose share falls along a cosine;
it is scored, and has an advantage, as any other. Of its given tokens only those of the highest entropy are updated.
Both ends of the cosine are ours; given tokens are never clipped, and those left out still count in the token mean.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods.base import Follows, Hint, Method, MethodOptions, SampledTokens
from interlace.methods.selection import highest

if TYPE_CHECKING:
    from torch import Tensor


class PrefixRftOptions(MethodOptions):
    """Of the method `prefix_rft_like`."""

    begin: float = Field(default=0.95, ge=0.0, le=1.0)
    """Share of the expert's response that is given at the first step."""
    end: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of it that is given at the last step."""
    top_entropy: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the given tokens that are updated, those of highest entropy."""


class PrefixRftLike(Method):
    """One completion begins as the expert does."""

    name: ClassVar[str] = "prefix_rft_like"
    sentence: ClassVar[str] = "one completion of each group goes on from an expert prefix that becomes shorter"
    source: ClassVar[str] = "after Prefix-RFT (arXiv 2507.01679), known second hand"
    takes: ClassVar[type[MethodOptions]] = PrefixRftOptions
    follows: ClassVar[Follows] = "neither"
    answers_prompts: ClassVar[bool] = True
    counts_imitation: ClassVar[bool] = False

    def hint(self, step: int, prompt: int, completion: int) -> Hint | None:
        """Of the first completion: a share that falls along a cosine."""
        if completion:
            return None
        begin, end = self.options.begin, self.options.end
        place = step / max(1, self.plan.max_steps - 1)
        return Hint(end + 0.5 * (begin - end) * (1.0 + math.cos(math.pi * place)), in_prompt=False)

    def token_advantages(
        self, advantages: Float[Tensor, "row"], tokens: SampledTokens
    ) -> Float[Tensor, "row"] | Float[Tensor, "row token"]:
        """0 at given tokens where the policy is surer than at the top share of them."""
        kept = highest(tokens.entropies, tokens.is_hint, self.options.top_entropy)
        return advantages[:, None] * (kept | ~tokens.is_hint)
