"""Compute spent by a stage: what comparisons are held equal in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a stage spent. Tokens are real tokens, padding excluded: sampled, read as the prompts of what is sampled
    (prefilled), passed forward and backward in losses. FLOPs count two a parameter and token forward, four backward
    (attention's own term is left out); seconds are wall time."""

    optimizer_steps: int = 0
    tokens_sampled: int = 0
    tokens_prefilled: int = 0
    tokens_forward: int = 0
    tokens_backward: int = 0
    flops: float = 0.0
    expert_examples: int = 0
    train_seconds: float = 0.0
    measure_seconds: float = 0.0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(**{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)})

    def to_json(self) -> dict[str, Any]:
        """The ledger's fields, in order."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ledger:
        """The inverse of `to_json`; unknown fields are ignored."""
        return cls(**{item.name: data[item.name] for item in fields(cls) if item.name in data})


def estimated_flops(num_parameters: int, tokens_generation: int, tokens_forward: int, tokens_backward: int) -> float:
    """2 N a token that generation reads or samples or that is passed forward and 4 N a token passed backward, N
    parameters.

    >>> estimated_flops(10, tokens_generation=1, tokens_forward=2, tokens_backward=1)
    100.0
    """
    return float(num_parameters * (2 * (tokens_generation + tokens_forward) + 4 * tokens_backward))
