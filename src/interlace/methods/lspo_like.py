"""Known second hand (notes on arXiv 2607.27787; no authors' code was read): LSPO.

Updates of imitation and of RL in turn. Imitation trains a LoRA adapter alone, RL all weights but the adapter. The
adapter is merged at every step (`low_rank`), so that the policy's weights are plain ones throughout; the gradient that
is clipped is that of the merged weights. Matrices but embeddings have an adapter; rank, scale and rate are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float

from interlace.methods.base import Plan, Update
from interlace.methods.interleaved import Interleaved, InterleavedOptions
from interlace.methods.low_rank import AdapterOptions, Adapters

if TYPE_CHECKING:
    from torch import Tensor


class LspoOptions(AdapterOptions, InterleavedOptions):
    """Of the method `lspo_like`."""


class LspoLike(Interleaved):
    """Low-rank imitation, full-rank RL."""

    name: ClassVar[str] = "lspo_like"
    sentence: ClassVar[str] = "imitation trains a LoRA adapter alone, RL the base weights alone, in turn"
    source: ClassVar[str] = "after LSPO (arXiv 2607.27787), known second hand"
    cost: ClassVar[str] = "an SFT step or GRPO's; a copy of the weights and two sets of moments"
    takes: ClassVar[type[InterleavedOptions]] = LspoOptions
    moments_apart: ClassVar[bool] = True

    def __init__(self, options: LspoOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self._adapters = Adapters(options, plan)

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """RL's update as it is; in place of imitation's, a step of the parameter's adapter, if it has one."""
        if self.weights(update.step).rl:
            return update.after
        if not self._adapters.takes(update.name, update.before):
            return update.before
        return update.before + self._adapters.step(update, update.gradient)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Each adapter's factors and moments."""
        return self._adapters.tensors

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""
        self._adapters.restore(tensors)
