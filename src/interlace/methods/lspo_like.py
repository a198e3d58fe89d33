"""Known second hand (notes on arXiv 2607.27787; no authors' code was read): LSPO.

Updates of imitation and of RL in turn. Imitation trains a LoRA adapter alone, RL all weights but the adapter. The
adapter is merged at every step (`low_rank`), so that the policy's weights are plain ones throughout; the gradient that
is clipped is that of the merged weights. Matrices but embeddings have an adapter; rank, scale and rate are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods.base import Plan, Update
from interlace.methods.interleaved import Interleaved, InterleavedOptions
from interlace.methods.low_rank import new_adapter, product, stepped

if TYPE_CHECKING:
    from torch import Tensor

MARK = "|"
"""Between a parameter's name and its adapter's part, in the checkpoint."""


class LspoOptions(InterleavedOptions):
    """Of the method `lspo_like`."""

    rank: int = Field(default=8, ge=1)
    """Of the adapter of each matrix."""
    scale: float = Field(default=2.0, gt=0.0, allow_inf_nan=False)
    """Factor of the adapter's product (alpha / rank in LoRA)."""
    rate: float = Field(default=10.0, gt=0.0, allow_inf_nan=False)
    """The adapter's learning rate, as a multiple of the stage's."""


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
        self._adapters: dict[str, dict[str, Tensor]] = {}

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """RL's update as it is; in place of imitation's, a step of the parameter's adapter, if it has one."""
        if self.weights(update.step).rl:
            return update.after
        if update.before.dim() != 2 or "embed" in update.name or "lm_head" in update.name:
            return update.before
        old, scale = self._adapter(update), self.options.scale
        new = stepped(old, update.gradient, scale, self.options.rate * update.learning_rate)
        self._adapters[update.name] = new
        return update.before + (product(new, scale) - product(old, scale)).to(update.before.dtype)

    def _adapter(self, update: Update) -> dict[str, Tensor]:
        if update.name not in self._adapters:
            return new_adapter(update.before, self.options.rank, self.plan.rng(0, *update.name.encode()))
        return {part: tensor.to(update.before.device) for part, tensor in self._adapters[update.name].items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Each adapter's factors and moments."""
        return {
            f"{name}{MARK}{part}": tensor for name, parts in self._adapters.items() for part, tensor in parts.items()
        }

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""
        self._adapters = {}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(MARK)
            self._adapters.setdefault(name, {})[part] = tensor
