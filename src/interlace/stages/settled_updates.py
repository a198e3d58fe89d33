"""Updates that a method settles: it sees every parameter before and after, and says what stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from interlace.methods import Method, Update


class SettledUpdates(TrainerCallback):
    """Around each optimizer step, after the gradient is clipped. Memory: one copy of the trained weights."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._before: dict[str, Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Copy the weights."""
        self._before = {name: weight.detach().clone() for name, weight in _trained(model)}

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **kwargs: Any
    ) -> None:
        """Replace each by what the method makes of both."""
        rate = float(optimizer.param_groups[0]["lr"])
        with torch.no_grad():
            for name, weight in _trained(model):
                gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
                update = Update(state.global_step, name, self._before[name], weight.detach(), gradient, rate)
                settled = self._method.settle(update)
                if settled is not update.after:
                    weight.copy_(settled)
        self._before = {}


def _trained(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
