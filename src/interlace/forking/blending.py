"""Means of weights: all forks of an arm, and all but one, at one mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from interlace.forking.training import Fork, Weights

EVERY, MEAN = "fork", "mean"
"""Names of readings: `fork-I` is fork I by itself, `mean` the mean of all, `mean-without-I` that of all but fork I."""


def readings(forks: Sequence[Weights]) -> Iterator[tuple[str, Weights]]:
    """Each fork's weights, their mean, and their mean without each fork, by name. One set of weights is made a time."""
    count = len(forks)
    yield from ((f"{EVERY}-{number}", weights) for number, weights in enumerate(forks))
    total = {name: torch.stack([weights[name] for weights in forks]).double().sum(0) for name in forks[0]}
    yield MEAN, {name: (value / count).to(forks[0][name]) for name, value in total.items()}
    for number, left in enumerate(forks):
        rest = {name: ((value - left[name]) / (count - 1)).to(left[name]) for name, value in total.items()}
        yield f"{MEAN}-without-{number}", rest


def paired(first: Fork, second: Fork) -> dict[int, Weights]:
    """At each mark the mean of two forks' weights."""
    return {
        mark: {name: (weight + second.weights[mark][name]) / 2 for name, weight in weights.items()}
        for mark, weights in first.weights.items()
    }


def distance(weights: Weights, start: Weights) -> float:
    """Euclidean norm of the displacement."""
    return float(sum(float((weights[name] - start[name]).double().square().sum()) for name in start)) ** 0.5
