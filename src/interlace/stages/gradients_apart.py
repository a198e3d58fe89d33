"""Two losses' gradients kept apart over an update's micro-batches, then combined as a method says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from interlace.methods import Method

Named = Sequence[tuple[str, torch.nn.Parameter]]


class GradientsApart:
    """The imitation loss's gradient by parameter, summed over micro-batches; RL's lies in the weights' `.grad`."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def add(self, loss: Tensor, trained: Named) -> None:
        """Add the gradient of one micro-batch's loss."""
        found: Sequence[Tensor | None] = torch.autograd.grad(loss, [weight for _, weight in trained], allow_unused=True)
        for (name, weight), gradient in zip(trained, found, strict=True):
            new = torch.zeros_like(weight) if gradient is None else gradient
            self._kept[name] = self._kept[name] + new if name in self._kept else new

    def combine(self, method: Method, trained: Named, optimizer: torch.optim.Optimizer) -> None:
        """Replace `.grad` by the method's combination, and forget; nothing to do in an update of one side."""
        if not self._kept:
            return
        rl = {name: torch.zeros_like(weight) if weight.grad is None else weight.grad for name, weight in trained}
        sft, self._kept = self._kept, {}
        combined = method.combine(rl, sft, step_lengths(trained, optimizer))
        for name, weight in trained:
            weight.grad = combined[name]


def step_lengths(trained: Named, optimizer: torch.optim.Optimizer) -> Mapping[str, Tensor]:
    """The optimizer's step a unit of gradient by parameter, without the learning rate: of Adam 1/(sqrt(v) + eps), v
    with its bias corrected so that steps of different ages compare; of one that keeps no second moment, and before its
    first step, 1 (D12)."""
    eps = float(optimizer.defaults.get("eps", 0.0))
    _, second_decay = optimizer.defaults.get("betas", (0.0, 0.0))
    lengths = {}
    for name, weight in trained:
        state = optimizer.state.get(weight, {})
        second, steps = state.get("exp_avg_sq"), float(state.get("step", 0.0))
        if second is None or not steps:
            lengths[name] = torch.ones_like(weight)
        else:
            lengths[name] = 1.0 / ((second / (1.0 - second_decay**steps)).sqrt() + eps)
    return lengths
