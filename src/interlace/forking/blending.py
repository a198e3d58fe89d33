"""Means of weights: all forks of an arm, and all but one, at one mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interlace.forking.scratch import Weights

EVERY, MEAN = "fork", "mean"
"""Names of readings: `fork-I` is fork I by itself, `mean` the mean of all, `mean-without-I` that of all but fork I."""


@dataclass(frozen=True, eq=False)
class MeanWeights(Mapping[str, Tensor]):
    """The mean of several sets of weights, added up in float64 whenever a tensor is asked for: none is held."""

    forks: Sequence[Weights]

    def __getitem__(self, name: str) -> Tensor:
        first = self.forks[0][name]
        total = first.to(torch.float64, copy=True)
        for fork in self.forks[1:]:
            total += fork[name]
        return (total / len(self.forks)).to(first)

    def __iter__(self) -> Iterator[str]:
        return iter(self.forks[0])

    def __len__(self) -> int:
        return len(self.forks[0])


def reading_names(count: int) -> tuple[str, ...]:
    """The names of `readings` of so many forks."""
    return (*(f"{EVERY}-{fork}" for fork in range(count)), MEAN, *(f"{MEAN}-without-{fork}" for fork in range(count)))


def readings(forks: Sequence[Weights]) -> Iterator[tuple[str, Weights]]:
    """Each fork's weights, their mean, and their mean without each fork, by name."""
    without = [[fork for number, fork in enumerate(forks) if number != left] for left in range(len(forks))]
    found = (*forks, *map(MeanWeights, (forks, *without)))
    yield from zip(reading_names(len(forks)), found, strict=True)


def distance(weights: Weights, start: Weights) -> float:
    """Euclidean norm of the displacement."""
    return float(sum(float((weights[name] - start[name]).double().square().sum()) for name in start)) ** 0.5
