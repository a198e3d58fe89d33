"""Two losses' gradients kept apart over an update's micro-batches, then combined as a method says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from interlace.methods import Method, Weights
from interlace.methods.combining import inner

Named = Sequence[tuple[str, torch.nn.Parameter]]


class SummedGradients:
    """A loss's gradient by parameter, summed over an update's micro-batches."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def add(self, loss: Tensor, trained: Named) -> None:
        """Add the gradient of one micro-batch's loss."""
        found: Sequence[Tensor | None] = torch.autograd.grad(loss, [weight for _, weight in trained], allow_unused=True)
        for (name, weight), gradient in zip(trained, found, strict=True):
            new = torch.zeros_like(weight) if gradient is None else gradient
            self._kept[name] = self._kept[name] + new if name in self._kept else new

    def take(self) -> dict[str, Tensor]:
        """The sum, forgotten here; nothing, if nothing was added."""
        kept, self._kept = self._kept, {}
        return kept


class GradientsApart:
    """The imitation loss's gradient beside RL's, which lies in the weights' `.grad`."""

    def __init__(self) -> None:
        self._sft = SummedGradients()

    def add(self, loss: Tensor, trained: Named) -> None:
        """Add the gradient of one micro-batch's imitation loss."""
        self._sft.add(loss, trained)

    def combine(
        self, method: Method, trained: Named, optimizer: torch.optim.Optimizer, weights: Weights
    ) -> dict[str, float]:
        """Replace `.grad` by the method's combination, and forget; what both sides' steps do to each other. Nothing to
        do in an update of one side. `weights`: of the two losses, as their gradients have them."""
        sft = self._sft.take()
        if not sft:
            return {}
        rl = {name: torch.zeros_like(weight) if weight.grad is None else weight.grad for name, weight in trained}
        metric = step_lengths(trained, optimizer)
        combined = method.combine(rl, sft, metric)
        for name, weight in trained:
            weight.grad = combined[name]
        return coupling(rl, sft, metric, weights)


def coupling(
    rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor], weights: Weights
) -> dict[str, float]:
    """To first order, of the update's own batches: what a step by the RL loss's gradient alone does to the SFT loss
    (and the other way round), for each unit by which it lowers its own loss; and the cosine of both gradients, all in
    the optimizer's metric (D12, D15). Positive slopes: one side's steps raise the other's loss. NaN where a gradient is
    0. Both are of the losses themselves: the `weights` that their gradients come with are taken out.

    Of one batch each, so without an interval: noise in a squared norm makes the slopes and the cosine too small (C2),
    also on average. Where a method imitates a `stream` the two batches are drawn independently of each other; where the
    expert answers the groups' prompts they are not, and noise that both share is in it.
    """
    of_rl = inner(rl, rl, metric) / weights.rl**2
    of_sft, of_both = inner(sft, sft, metric) / weights.sft**2, inner(rl, sft, metric) / (weights.rl * weights.sft)
    return {
        "coupling/sft_loss_by_rl": -of_both / of_rl if of_rl else math.nan,
        "coupling/rl_loss_by_sft": -of_both / of_sft if of_sft else math.nan,
        "coupling/cosine": of_both / math.sqrt(of_rl * of_sft) if of_rl * of_sft else math.nan,
    }


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
