"""Which probes look at a checkpoint: a run's price lists, without what only a trainer knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from interlace.checkpoints.objectives import COMPARED
from interlace.errors import RecipeError, unknown_name
from interlace.estimate import Figure, Unresolved
from interlace.measurement import PromptScores
from interlace.probes import PRESETS, PROBES, Probe, ProbeContext
from interlace.probes.landscape import Landscape
from interlace.probes.pl_constants import PlConstants

STANDARD = "standard"
IN_CELLS = frozenset({*COMPARED, "kl_policy_start_nats_per_response"})
"""Quantities of the probes that cells hold; there KL has the name of what it is taken to."""

NO_LEAST_LOSSES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Preset:
    """A price list, as checkpoints are looked at with it.

    `exchange_rate`: reward units that a nat of SFT loss is worth, for B5's optimum (default 1). `least_losses`: by
    task, the SFT loss that the best model reaches, nats/response, for PL constants where the expert is not known.

    Raises RecipeError for an unknown preset.
    """

    name: str = STANDARD
    exchange_rate: float | None = None
    least_losses: Mapping[str, float] = field(default_factory=lambda: NO_LEAST_LOSSES)

    def __post_init__(self) -> None:
        if self.name not in PRESETS:
            raise RecipeError(unknown_name("--preset", self.name, PRESETS))

    @property
    def for_cells(self) -> Preset:
        """What cells need, and nothing else."""
        return self if self.has_only_cells else replace(self, name=STANDARD)

    @property
    def has_only_cells(self) -> bool:
        """Whether nothing is measured that stands in no cell."""
        return set(PRESETS[self.name]) <= set(PRESETS[STANDARD])

    def measures(self, probe: str) -> bool:
        """Whether the preset pays for this probe."""
        return probe in PRESETS[self.name]

    def look(self, context: ProbeContext) -> tuple[dict[str, Figure], PromptScores]:
        """What stands in no cell, by quantity, and what each prompt contributed to what does.

        What a model cannot do, such as a second derivative of its own kernels, is unresolved under the probe's name.
        """
        figures: dict[str, Figure] = {}
        scores: dict[str, Any] = {}
        for probe in self._probes(context.target.task.name):
            if not probe.applies(context):
                continue
            if probe.name in PRESETS[STANDARD]:
                scores |= context.reading(probe).scores
            figures |= _figures(probe, context)
        kept = {} if self.has_only_cells else {name: found for name, found in figures.items() if name not in IN_CELLS}
        return kept, PromptScores(**scores)

    def _probes(self, task: str) -> Iterator[Probe]:
        """The preset's, dearest last; `landscape` reads the PL constants that were read before it."""
        own: dict[str, Probe] = {
            "pl_constants": PlConstants(self.least_losses.get(task)),
            "landscape": Landscape(1.0 if self.exchange_rate is None else self.exchange_rate),
        }
        return (own.get(name, PROBES[name]) for name in PRESETS[self.name])


def _figures(probe: Probe, context: ProbeContext) -> Mapping[str, Figure]:
    if probe.cost == "forward":
        return context.reading(probe).figures
    try:
        return context.reading(probe).figures
    except (RuntimeError, ArithmeticError, np.linalg.LinAlgError) as error:  # no derivative, or no memory for it
        return {probe.name: Unresolved(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")}
