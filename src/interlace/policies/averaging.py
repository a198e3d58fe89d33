"""The exponential average of a policy's weights, kept in float32 beside the run."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from interlace.policies.policy import CausalModel, independent_copy

FILE_NAME = "averaged_weights.safetensors"


class AveragedWeights:
    """average <- decay * average + (1 - decay) * weights after every optimizer step, from the stage's start, float32.

    `decay` lies in [0, 1); about 1/(1 - decay) steps are remembered. `model` is a copy with the averaged weights, for
    looking only. Tied weights stay tied. Cost: one copy in memory and one pass over the weights a step.
    """

    def __init__(self, model: CausalModel, decay: float) -> None:
        self.decay = decay
        self.model = independent_copy(model).float().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: CausalModel) -> None:
        """Take in the weights after one optimizer step; buffers are copied."""
        averages = [parameter.data for parameter in self.model.parameters()]
        weights = [parameter.data.float() for parameter in model.parameters()]
        torch._foreach_lerp_(averages, weights, 1.0 - self.decay)
        for buffer, source in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(source)

    def save(self, folder: Path) -> None:
        """Keep the average in a checkpoint folder."""
        parameters = {name: value.contiguous() for name, value in self.model.named_parameters()}
        save_file(parameters, folder / FILE_NAME)

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Take up the average that a checkpoint folder holds."""
        kept = load_file(folder / FILE_NAME)
        for name, parameter in self.model.named_parameters():
            parameter.copy_(kept[name])
