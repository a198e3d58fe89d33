"""In which precision forwards run: bfloat16 gains a factor on machines that have it in hardware and loses on others."""

from __future__ import annotations

import time

import torch

SIZE, REPEATS = 512, 8
GAIN_NEEDED = 1.5


def bfloat16_gains() -> bool:
    """Whether matrix products in bfloat16 are enough faster here to be worth their rounding."""
    return bfloat16_gain() >= GAIN_NEEDED


def bfloat16_gain(size: int = SIZE) -> float:
    """How many times faster a matrix product is in bfloat16 than in float32 here. Cost: some tens of milliseconds."""
    return _seconds(torch.float32, size) / _seconds(torch.bfloat16, size)


def _seconds(dtype: torch.dtype, size: int) -> float:
    """The fastest of several products of two matrices, after one to warm up."""
    rng = torch.Generator().manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.randn(size, size, generator=rng).to(device, dtype)
    (matrix @ matrix).sum().item()
    return min(_timed(matrix) for _ in range(REPEATS))


def _timed(matrix: torch.Tensor) -> float:
    began = time.perf_counter()
    (matrix @ matrix).sum().item()
    return time.perf_counter() - began
