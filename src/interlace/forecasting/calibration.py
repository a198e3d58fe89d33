"""Path models weighed and corrected by what a run has shown so far: SFT loss against the reward gained.

The change of SFT loss is a sum of shapes: what the path models say at that gain of reward (systematic and
group-normalised), an excess in proportion to the gain (what the finite steps of a normalised optimiser cost beyond any
path) and a step at the beginning (a fresh optimiser), and looks scatter about it. Weights have a normal prior, the
scatter an inverse gamma one, both conjugate: before the first look the prior is the forecast, every look corrects it,
and predictive intervals are Student t's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from scipy import linalg

from interlace.forecasting.curve import Curve

Gains = Float[np.ndarray, "*gain"]
TRUSTED = 0.9
"""Share of a path's whole gain up to which its curve is followed; beyond it, along its slope there: no run has followed
a path into the corner where SFT loss has no bound."""
SCATTER, CERTAINTY = 0.05, 4.0
"""What a look's SFT loss scatters by, nats/response, before any was seen, and how many looks that is worth."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One thing that the change of SFT loss may be made of: its value at gains of reward, in nats/response, and the
    prior mean and standard deviation of how much of it there is."""

    name: str
    at: Callable[[Gains], Gains]
    mean: float
    spread: float


def shapes_of(curves: Sequence[Curve], *, is_averaged: bool) -> list[Shape]:
    """The shapes of SFT loss on the task that RL trains. `is_averaged`: of the weights' exponential average, whose
    looks hold less of the optimiser's noise."""
    paths = [Shape(curve.model, partial(_followed, curve), *PRIOR[curve.model]) for curve in curves]
    return [*paths, *drift_shapes(0.0, is_averaged=is_averaged)]


def drift_shapes(price: float, *, is_averaged: bool) -> list[Shape]:
    """What is left where no path model speaks, as on a task that is not trained on: `price` nats a reward unit (D15)
    with what finite steps add, and the step at the beginning."""
    mean, spread = EXCESS["averaged" if is_averaged else "raw"]
    return [Shape("excess", lambda gains: gains, price + mean, spread), Shape("step", np.ones_like, 0.0, 0.03)]


PRIOR = {"systematic": (0.8, 0.4), "group_normalised": (0.2, 0.4)}
EXCESS = {"averaged": (0.4, 0.8), "raw": (1.5, 1.2)}
"""Nats per reward unit: mean and standard deviation of what RL stages of the embedded quickstart task have cost beyond
the paths, at learning rates 1e-4 to 1e-3."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """`shapes` fitted to changes of SFT loss (nats/response) that were seen at gains of reward, the start left out."""

    shapes: Sequence[Shape]
    gains: Float[np.ndarray, "look"]
    changes: Float[np.ndarray, "look"]

    def draws(self, gains: Float[np.ndarray, "draw step"], rng: np.random.Generator) -> Float[np.ndarray, "draw step"]:
        """What a look would read at each draw's `gains`: shapes and scatter drawn once a draw, from the posterior."""
        mean, root, degrees, scale = self._posterior()
        count = len(gains)
        scatter = scale * np.sqrt(degrees / rng.chisquare(degrees, count))
        weights = mean + scatter[:, None] * (rng.normal(size=(count, mean.size)) @ root.T)
        smooth = np.einsum("dsk,dk->ds", self._design(gains), weights)
        return smooth + scatter[:, None] * rng.normal(size=(count, 1))

    def _posterior(self) -> tuple[Float[np.ndarray, "shape"], Float[np.ndarray, "shape shape"], float, float]:
        """The weights' mean, a square root of their covariance in units of the scatter, and the scatter's degrees of
        freedom and size."""
        prior = np.array([shape.mean for shape in self.shapes])
        precision = np.diag([(SCATTER / shape.spread) ** 2 for shape in self.shapes])
        design = self._design(self.gains)
        updated = precision + design.T @ design
        mean = np.linalg.solve(updated, precision @ prior + design.T @ self.changes)
        misfit = ((self.changes - design @ mean) ** 2).sum() + (mean - prior) @ precision @ (mean - prior)
        degrees = CERTAINTY + self.changes.size
        root = linalg.solve_triangular(np.linalg.cholesky(updated).T, np.eye(mean.size), lower=False)
        return mean, root, degrees, float(np.sqrt((CERTAINTY * SCATTER**2 + misfit) / degrees))

    def _design(self, gains: Gains) -> Float[np.ndarray, "*gain shape"]:
        return np.stack([shape.at(gains) for shape in self.shapes], axis=-1)


def _followed(curve: Curve, gains: Gains) -> Gains:
    """The curve's change of SFT loss at gains of reward, straight on beyond its start and its `TRUSTED` part."""
    grid = curve.reward - curve.reward[0]
    last = max(1, int(np.searchsorted(grid, TRUSTED * grid[-1])))
    known, change = grid[: last + 1], curve.loss_change[: last + 1]
    slopes = [(change[j] - change[i]) / (known[j] - known[i]) for i, j in ((0, 1), (-2, -1))]
    beyond = slopes[0] * np.minimum(gains, 0.0) + slopes[1] * np.maximum(gains - known[-1], 0.0)
    return np.interp(gains, known, change) + beyond
