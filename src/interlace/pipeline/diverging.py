"""A stage whose weights are no longer finite: where it is noticed, and what of the run goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import Trainer

from interlace.policies.policy import CausalModel

DIVERGED = "its weights are not finite after step {step}: it diverged, and is not trained further"
REMEDY = "Lower its learning rate or set max_grad_norm, and start again with --fresh."


class Diverged(Exception):
    """Training left weights that are not finite, after so many steps."""

    def __init__(self, step: int) -> None:
        super().__init__(DIVERGED.format(step=step))
        self.step = step


@contextmanager
def noticing_divergence(trainer: Trainer, model: CausalModel) -> Iterator[None]:
    """Raise Diverged if weights are not finite in the end, whatever failed of them first: sampling, a loss, a look."""
    try:
        yield
    except Exception:  # of any library: with weights that are not finite it only says where they were first used
        if is_finite(model):
            raise
        raise Diverged(trainer.state.global_step) from None
    if not is_finite(model):
        raise Diverged(trainer.state.global_step)


def is_finite(model: CausalModel) -> bool:
    """Whether every weight is."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
