"""Means of weights: all forks of an arm, and all but one, at one mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from interlace.forking.training import Fork, Weights

EVERY, MEAN = "fork", "mean"
"""Names of readings: `fork-I` is fork I by itself, `mean` the mean of all, `mean-without-I` that of all but fork I."""


def readings(forks: Sequence[Weights]) -> Iterator[tuple[str, Weights]]:
    """Each fork's weights, their mean, and their mean without each fork, by name. One set of weights is made a time."""
    yield from ((f"{EVERY}-{number}", weights) for number, weights in enumerate(forks))
    yield MEAN, mean_of(forks)
    for left in range(len(forks)):
        yield f"{MEAN}-without-{left}", mean_of([fork for number, fork in enumerate(forks) if number != left])


def mean_of(forks: Sequence[Weights]) -> Weights:
    """The mean of several sets of weights, added up in float64, tensor by tensor."""
    return {
        name: torch.stack([fork[name] for fork in forks]).double().mean(0).to(weight)
        for name, weight in forks[0].items()
    }


def paired(first: Fork, second: Fork) -> dict[int, Weights]:
    """At each mark the mean of two forks' weights."""
    return {mark: mean_of([weights, second.weights[mark]]) for mark, weights in first.weights.items()}


def distance(weights: Weights, start: Weights) -> float:
    """Euclidean norm of the displacement."""
    return float(sum(float((weights[name] - start[name]).double().square().sum()) for name in start)) ** 0.5
