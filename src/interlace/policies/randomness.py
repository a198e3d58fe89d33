"""Global random states, put back after a look: a user's reward may draw from them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Python's, NumPy's and torch's generators (every GPU's too) end as they began."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 -- to put the user's state back
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002 -- as above
