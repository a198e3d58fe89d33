from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Simulations run thousands of times: without the shape checks, which cost ten times what they check."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
