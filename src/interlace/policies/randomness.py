"""Global random states, put back after a look: a user's reward may draw from them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Python's, NumPy's and torch's generators end as they began: the CPU's, and those of the GPUs in use so far.

    Also a decorator: ``@untouched_randomness()``.
    """
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 -- to put the user's state back
    try:
        with torch.random.fork_rng(devices=_gpus_in_use()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002 -- as above


def _gpus_in_use() -> list[int]:
    """The current GPU and those that hold tensors of this process; asking starts none."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    current = torch.cuda.current_device()
    return [gpu for gpu in range(torch.cuda.device_count()) if gpu == current or torch.cuda.memory_reserved(gpu)]
