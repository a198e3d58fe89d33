"""Data mixing: examples of both kinds in one batch, one mean over all their tokens.

What decides is how many expert responses stand beside the completions (`expert_batch_size`), not a weight.
"""

from __future__ import annotations

from typing import ClassVar

from interlace.methods.base import Method, Weights


class DataMixing(Method):
    """Tokens of completions and of expert responses in one pool."""

    name: ClassVar[str] = "data_mixing"
    sentence: ClassVar[str] = "expert responses among the completions, one mean over all tokens"
    source: ClassVar[str] = "data mixing of arXiv 2507.07562"
    cost: ClassVar[str] = "GRPO and an SFT step"
    pools_tokens: ClassVar[bool] = True

    def weights(self, step: int) -> Weights:
        """1 and 1, each divided by the tokens of both."""
        return Weights(1.0, 1.0)
