"""What a probe is: it declares its unit, what it needs and what it costs, and reads one context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from interlace.estimate import Figure
from interlace.probes.context import ProbeContext

Price = Literal["byproduct", "forward", "backward", "curvature"]
"""What a probe costs: nothing beyond training's own work, forwards, backwards, or second derivatives."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a probe found: its figures by quantity, and each prompt's contributions (fields of `PromptScores`)."""

    figures: Mapping[str, Figure]
    scores: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Probe(Protocol):
    """One instrument. `needs` names the properties of `ProbeContext` that it reads; the context computes each once."""

    name: str
    sentence: str
    source: str
    cost: Price
    needs: tuple[str, ...]

    def applies(self, context: ProbeContext) -> bool:
        """Whether the task and the moment have what the probe measures."""
        ...

    def measure(self, context: ProbeContext) -> Reading:
        """Look once."""
        ...
