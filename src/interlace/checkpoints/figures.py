"""What probes found at checkpoints besides the cells, put in order: whole figures, those of layers, prices of pairs."""

from __future__ import annotations

from collections.abc import Iterator

from interlace.checkpoints.result import Cell, Measured
from interlace.estimate import Figure

COST = "linearised_cost/"
LAYER = "gradient_cosine/"


def costs(measured: Measured) -> dict[tuple[str, str, str], Figure]:
    """D15 by (checkpoint, task rewarded, task whose SFT loss pays), nats/response per reward unit."""
    return {
        (cell.checkpoint, cell.objective.removeprefix(COST), cell.task): cell.figure
        for cell in measured.figures
        if cell.objective.startswith(COST)
    }


def cost_table(measured: Measured) -> Iterator[tuple[str, str, list[Figure | None]]]:
    """D15's matrix, checkpoint after checkpoint: each rewarded task's price on every task (None: no such pair)."""
    found = costs(measured)
    for name, rewarded in dict.fromkeys((name, rewarded) for name, rewarded, _ in found):
        yield name, rewarded, [found.get((name, rewarded, task)) for task in measured.tasks]


def of_layers(measured: Measured) -> dict[tuple[str, str, str], Figure]:
    """Cosines of both gradients by (layer, checkpoint, task), layers in the model's order."""
    return {
        (cell.objective.removeprefix(LAYER), cell.checkpoint, cell.task): cell.figure
        for cell in measured.figures
        if cell.objective.startswith(LAYER)
    }


def whole(measured: Measured) -> list[Cell]:
    """Figures of neither a layer nor a pair of tasks."""
    return [cell for cell in measured.figures if not cell.objective.startswith((COST, LAYER))]
