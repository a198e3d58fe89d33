"""How far reward will rise or fall: the posterior of A (1 - exp(-(step / T)^b)) given the looks so far, on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

HEIGHTS = np.concatenate([np.linspace(-1.0, -0.02, 25), np.linspace(0.0, 1.0, 51)])
"""A, as shares of what there is to gain; below 0 reward falls."""
FALLS = 0.1
"""How often reward falls, before anything is seen: so it did in 3 of 48 embedded stages, all at the largest rate."""
TIMES = np.geomspace(0.1, 100.0, 41)
"""T, in units of the latest look's step."""
POWERS = (0.6, 0.8, 1.0, 1.3)
"""b: 1 is a constant rate towards the end; less begins fast and drags on, more begins slowly."""
NOISE, CERTAINTY = 0.01, 2.0
"""Scatter of a look about the curve, as a share of what there is to gain, and how many looks that is worth."""


class _Grid(NamedTuple):
    height: Float[np.ndarray, "node"]
    time: Float[np.ndarray, "node"]
    power: Float[np.ndarray, "node"]
    weight: Float[np.ndarray, "node"]
    noise: float


@dataclass(frozen=True, eq=False)
class RewardCurve:
    """The reward gained against steps, after looks at `steps` (the start's is left out) that had gained `gains`.

    `most`: what there is to gain, reward units. Looks scatter about the curve independently; their scatter has a
    scaled inverse chi-square prior and is integrated out.
    """

    steps: Float[np.ndarray, "look"]
    gains: Float[np.ndarray, "look"]
    most: float

    def draws(
        self, at: Float[np.ndarray, "step"], count: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "draw step"]:
        """`count` draws of what a look will read at the steps `at`: a curve of the posterior and a look's scatter."""
        grid = self._grid()
        chosen = rng.choice(grid.weight.size, size=count, p=grid.weight)
        curves = _risen(at, grid.height[chosen, None], grid.time[chosen, None], grid.power[chosen, None])
        return curves + grid.noise * rng.normal(size=(count, 1))

    def _grid(self) -> _Grid:
        axes = np.meshgrid(self.most * HEIGHTS, float(self.steps[-1]) * TIMES, POWERS, indexing="ij")
        height, time, power = (axis.ravel() for axis in axes)
        curves = _risen(self.steps, height[:, None], time[:, None], power[:, None])
        degrees = CERTAINTY + self.gains.size
        misfit = CERTAINTY * (NOISE * self.most) ** 2 + ((self.gains - curves) ** 2).sum(axis=-1)
        prior = np.where(height < 0.0, FALLS / (HEIGHTS < 0.0).sum(), (1.0 - FALLS) / (HEIGHTS >= 0.0).sum())
        weight = special.softmax(np.log(prior) - 0.5 * degrees * np.log(misfit))
        return _Grid(height, time, power, weight, float(np.sqrt(weight @ misfit / degrees)))


def _risen(steps: np.ndarray, height: np.ndarray, time: np.ndarray, power: np.ndarray) -> np.ndarray:
    return -height * np.expm1(-((steps / time) ** power))
