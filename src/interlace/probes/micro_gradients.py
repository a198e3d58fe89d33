"""What each micro-batch of a step adds to the gradient of the normalisation layers, read between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel


@dataclass
class MicroGradients:
    """The running sums that a trainer accumulates in `.grad`, one a micro-batch; reading them changes nothing."""

    sums: list[Float[Tensor, "norm_parameter"]] = field(default_factory=list)
    batch_size: int = 1

    def see(self, model: PreTrainedModel, batch_size: int) -> None:
        """Read the sum after a micro-batch of `batch_size` sequences; nothing where a gradient is missing."""
        found = [weight.grad for weight in norm_weights(model)]
        if found and all(grad is not None for grad in found):
            self.batch_size = batch_size
            self.sums.append(torch.cat([grad.detach().float().flatten() for grad in found if grad is not None]))

    def taken(self) -> tuple[Float[Tensor, "norm_parameter"], ...]:
        """Each micro-batch's own gradient; the sums are let go."""
        sums, self.sums = self.sums, []
        before = [torch.zeros_like(first) for first in sums[:1]] + sums
        return tuple(later - earlier for earlier, later in zip(before, sums, strict=False))


def norm_weights(model: PreTrainedModel) -> list[Tensor]:
    """The trainable weights of normalisation layers (modules with "norm" in their class's name)."""
    layers = (module for module in model.modules() if "norm" in type(module).__name__.lower())
    return [weight for module in layers for weight in module.parameters(recurse=False) if weight.requires_grad]
