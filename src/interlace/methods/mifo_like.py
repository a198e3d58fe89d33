"""Known second hand (notes on arXiv 2510.04454; no authors' code was read): MIFO.

RL, and updates of imitation on the prompts that it did not solve, in ReLIFT's way; of each expert response only the
tokens of the highest entropy are imitated, and of each parameter the coordinates that RL has moved most, added up over
all its updates, stay where they are. All shares are ours. Tokens that are left out still count in the token mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Bool, Float
from pydantic import Field

from interlace.methods.base import ExpertTokens, Plan, Update
from interlace.methods.relift import Relift, ReliftOptions
from interlace.methods.selection import highest

if TYPE_CHECKING:
    from torch import Tensor


class MifoOptions(ReliftOptions):
    """Of the method `mifo_like`."""

    frozen: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of each parameter's coordinates that imitation leaves alone, those that RL moved most."""
    top_entropy: float = Field(default=0.2, gt=0.0, le=1.0)
    """Share of each expert response's tokens that are imitated, those of highest entropy."""


class MifoLike(Relift):
    """Imitation where RL has not been."""

    name: ClassVar[str] = "mifo_like"
    sentence: ClassVar[str] = "RL, and imitation of high-entropy tokens that leaves alone what RL moved most"
    source: ClassVar[str] = "after MIFO (arXiv 2510.04454), known second hand"
    cost: ClassVar[str] = "GRPO's, or an SFT step; two more copies of the weights"
    takes: ClassVar[type[ReliftOptions]] = MifoOptions
    moments_apart: ClassVar[bool] = False

    def __init__(self, options: MifoOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self._moved: dict[str, Tensor] = {}

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """-log p at the tokens of highest entropy, 0 at the others."""
        return -tokens.logprobs * highest(tokens.entropies, tokens.mask, self.options.top_entropy)

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """RL's movement is added up; what it moved most does not move by imitation."""
        name = update.name
        if self.weights(update.step).rl:
            moved = (update.after - update.before).abs()
            self._moved[name] = moved + self._moved[name].to(moved) if name in self._moved else moved
            return update.after
        return update.before.where(self._is_frozen(name).to(update.before.device), update.after)

    def _is_frozen(self, name: str) -> Bool[Tensor, "*shape"]:
        moved = self._moved[name].flatten()
        most = moved.topk(round(self.options.frozen * moved.numel())).indices
        chosen = (moved != moved).scatter(0, most, value=True)
        return (chosen & (moved > 0)).view(self._moved[name].shape)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """RL's movement of each parameter, absolute, added up."""
        return self._moved

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""
        self._moved = dict(tensors)
