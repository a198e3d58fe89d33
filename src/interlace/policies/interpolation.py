"""The straight line between two policies in weight space."""

from __future__ import annotations

import torch

from interlace.policies.parameters import widened
from interlace.policies.policy import CausalModel, independent_copy


@torch.no_grad()
def interpolated(start: CausalModel, end: CausalModel, position: float) -> CausalModel:
    """A copy with weights (1 - position) * start + position * end; position 0 is the start, 1 the end.

    Computed in float32, or in the weights' own precision where that is wider.
    """
    model = independent_copy(start).requires_grad_(False)
    for parameter, first, last in zip(model.parameters(), start.parameters(), end.parameters(), strict=True):
        parameter.copy_(widened(first).lerp(widened(last), position))
    return model
