"""The policy as it once was: its trained weights kept aside and put in place for the moment of a look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from interlace.policies.policy import CausalModel, Policy


@dataclass(frozen=True)
class KeptPolicy(Policy):
    """A policy whose trainable weights are those of an earlier moment; everything else is shared with `model`.

    A look exchanges the two sets by reference and exchanges them back, whatever happens: nothing is copied, and an
    optimizer that holds the parameters sees no change. Memory: one copy of the trainable weights (with PEFT: of the
    adapter), on their device.
    """

    kept: dict[str, Tensor]

    @classmethod
    def of(cls, policy: Policy) -> KeptPolicy:
        """`policy` as it is now."""
        trained = {name: weight for name, weight in policy.model.named_parameters() if weight.requires_grad}
        return cls(policy.model, policy.tokenizer, {name: weight.data.clone() for name, weight in trained.items()})

    def weights(self) -> dict[str, Tensor]:
        """The kept weights by name, and those of the model that were never trained."""
        return super().weights() | self.kept

    @contextmanager
    def observed(self) -> Iterator[CausalModel]:
        """The model with the kept weights, for looking only."""
        self._exchange()
        try:
            with super().observed() as model:
                yield model
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, weight in self.model.named_parameters():
            if name in self.kept:
                aside = weight.data
                weight.data = self.kept[name].to(aside)
                self.kept[name] = aside
