"""DFT: SFT whose token losses are multiplied by the token's own probability, which takes out the 1/p of its gradient.
Imitation alone: it has no RL part of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float

from interlace.methods.base import ONLY_SFT, ExpertTokens, Method, Weights

if TYPE_CHECKING:
    from torch import Tensor


class Dft(Method):
    """Imitation, each token weighed by its probability."""

    name: ClassVar[str] = "dft"
    sentence: ClassVar[str] = "imitation alone, each token's loss times its probability"
    source: ClassVar[str] = "Wu et al. 2025, dynamic fine-tuning (arXiv 2508.05629)"
    cost: ClassVar[str] = "an SFT step"

    def weights(self, step: int) -> Weights:
        """Imitation alone."""
        return ONLY_SFT

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """-p log p, the weight without gradient."""
        return -tokens.logprobs.detach().exp() * tokens.logprobs
