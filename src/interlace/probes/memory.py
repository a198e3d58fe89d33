"""Whether the flat vectors of a look fit the memory that is free: an instrument never gets the training killed."""

from __future__ import annotations

import psutil
import torch

from interlace.estimate import Unresolved
from interlace.policies.policy import CausalModel
from interlace.probes.parts import MAX_BYTES

SINGLE_VECTORS = 6
"""Flat vectors beside the parts' own: the gradient and its batch's, two directions, the metric, a weighted copy."""
LANCZOS_VECTORS = 10
"""Of the smoothness: its basis, and a product with what it is added up in."""


def needed_bytes(dimension: int, num_vectors: int, itemsize: int) -> int:
    """The most that gradients of `num_vectors` parts, or Lanczos after them, take in flat vectors.

    What a forward and backward keep of their batch is not in it: it stays below training's own.
    """
    whole = itemsize * dimension
    table = whole * num_vectors if whole * num_vectors <= MAX_BYTES else 2 * dimension * num_vectors
    return max(table + SINGLE_VECTORS * whole, LANCZOS_VECTORS * whole)


def free_bytes(device: torch.device) -> int:
    """What may still be taken on `device`: torch's own unused cache counts; a container's limit below it does not."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def memory_refusal(model: CausalModel, dimension: int, num_vectors: int) -> Unresolved | None:
    """Why gradients cannot be kept beside this training: the bytes needed and those free."""
    itemsize = torch.promote_types(model.dtype, torch.float32).itemsize
    needed, free = needed_bytes(dimension, num_vectors, itemsize), free_bytes(model.device)
    if needed <= free:
        return None
    return Unresolved(
        f"its vectors need {needed:.2g} bytes and {free:.2g} are free on {model.device}: nothing was computed"
    )
