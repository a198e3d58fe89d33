"""CHORD-phi: a fixed weight of imitation, and each expert token's loss times p(1 - p), which leaves out tokens that the
policy knows and those that it would never say (arXiv 2508.11408)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods.base import ExpertTokens, MethodOptions
from interlace.methods.joint import Joint, JointOptions

if TYPE_CHECKING:
    from torch import Tensor


class ChordPhiOptions(JointOptions):
    """Of the method `chord_phi`."""

    mu: float = Field(default=0.1, ge=0.0, le=1.0)
    """Weight of imitation; the rest is the RL loss's."""


class ChordPhi(Joint):
    """Tokens weighed by how undecided the policy is about them."""

    name: ClassVar[str] = "chord_phi"
    sentence: ClassVar[str] = "a fixed weight, expert tokens weighed by p(1 - p)"
    source: ClassVar[str] = "Zhang et al. 2025, CHORD (arXiv 2508.11408)"
    takes: ClassVar[type[MethodOptions]] = ChordPhiOptions

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """-p(1 - p) log p, the weight without gradient."""
        chance = tokens.logprobs.detach().exp()
        return -chance * (1.0 - chance) * tokens.logprobs
