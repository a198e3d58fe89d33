"""Path models weighed and corrected by what a run has shown so far: SFT loss against the reward gained.

The change of SFT loss is a sum of shapes: what the path models say at that gain of reward (systematic and
group-normalised), an excess in proportion to the gain (what the finite steps of a normalised optimiser cost beyond any
path), a drift in proportion to the steps (what clip, optimizer and noise pull without any reward), and a step at the
beginning (the noise that raw weights take up at once and keep). Looks scatter about it. Weights have a normal prior,
the scatter a log-normal one on a grid: before the first look the prior is the forecast, every look corrects it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg, special

from interlace.forecasting.curve import Curve
from interlace.measurement import AVERAGED, RAW

Gains = Float[np.ndarray, "*gain"]
TRUSTED = 0.9
"""Share of a path's whole gain up to which its curve is followed; beyond it, along its slope there: no run has followed
a path into the corner where SFT loss has no bound."""
NODES, SPREAD = np.linspace(-2.5, 2.5, 21), 0.5
"""The grid of the scatter's logarithm, in standard deviations of its prior, and that standard deviation."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One thing that the change of SFT loss may be made of: its value at gains of reward and at the progress of the
    weights (0 at the stage's start, 1 at its end), in nats/response, and the prior mean and standard deviation of how
    much of it there is."""

    name: str
    at: Callable[[Gains, Gains], Gains]
    mean: float
    spread: float


@dataclass(frozen=True, eq=False)
class Composition:
    """What the change of SFT loss is made of, and by how many nats/response a look scatters about it (prior)."""

    shapes: Sequence[Shape]
    scatter: float


class Experience(NamedTuple):
    """What earlier RL stages have shown of one kind of weights: the excess in nats per reward unit (mean, standard
    deviation), drift and step in nats/response, and a look's scatter."""

    excess: tuple[float, float]
    drift: tuple[float, float]
    step: tuple[float, float]
    scatter: float


EXPERIENCE = {
    RAW: Experience(excess=(0.5, 0.7), drift=(0.05, 0.15), step=(0.25, 0.3), scatter=0.08),
    AVERAGED: Experience(excess=(0.5, 0.5), drift=(0.03, 0.1), step=(0.0, 0.01), scatter=0.02),
}
"""From RL stages of 60 steps with seed 0 on embedded sums, triples and styled sums (benchmarks/forecast_table.py), at
learning rates from 1e-4 to 1e-3: what forecasts were developed on, so none is scored there."""
PATHS = {"systematic": (1.0, 0.25), "group_normalised": (0.0, 0.25)}
"""The path models and the prior of their weights."""


def along_paths(curves: Sequence[Curve], weights: str) -> Composition:
    """SFT loss on the task that RL trains, under `weights` (raw or averaged): as the curves of path models say, and
    what comes on top."""
    paths = [Shape(curve.model, partial(_followed, curve), *PATHS[curve.model]) for curve in curves]
    return Composition([*paths, *_on_top(0.0, weights)], EXPERIENCE[weights].scatter)


def at_a_price(price: float, weights: str) -> Composition:
    """SFT loss where no path model speaks, as on a task that is not trained on: `price` nats a reward unit (D15), and
    what comes on top."""
    return Composition(_on_top(price, weights), EXPERIENCE[weights].scatter)


def _on_top(price: float, weights: str) -> list[Shape]:
    (mean, spread), drift, step, _ = EXPERIENCE[weights]
    return [
        Shape("excess", lambda gains, progress: gains, price + mean, spread),
        Shape("drift", lambda gains, progress: progress, *drift),
        Shape("step", lambda gains, progress: np.ones_like(gains), *step),
    ]


def progress_at(
    steps: Float[np.ndarray, "step"], last_step: int, decay: float | None = None
) -> Float[np.ndarray, "step"]:
    """How far weights that move evenly have come at `steps`, 1 at `last_step`; `decay`: of their exponential average,
    which lags behind."""
    if decay is None or decay <= 0.0:
        return steps / last_step

    def come(step: Float[np.ndarray, "step"]) -> Float[np.ndarray, "step"]:
        return step - decay / (1.0 - decay) * -np.expm1(step * np.log(decay))

    return come(steps) / come(np.array([float(last_step)]))


@dataclass(frozen=True, eq=False)
class Calibration:
    """A composition fitted to changes of SFT loss (nats/response) that were seen at gains of reward and at the
    weights' progress, the start left out."""

    composition: Composition
    gains: Float[np.ndarray, "look"]
    progress: Float[np.ndarray, "look"]
    changes: Float[np.ndarray, "look"]

    def draws(
        self,
        gains: Float[np.ndarray, "draw step"],
        progress: Float[np.ndarray, "step"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "draw step"]:
        """What a look would read at each draw's `gains` and at `progress`: shapes and scatter drawn once a draw, from
        the posterior."""
        scatters, chances, means, roots = self._posterior()
        chosen = rng.choice(scatters.size, size=len(gains), p=chances)
        normal = rng.normal(size=(len(gains), means.shape[1]))
        weights = means[chosen] + np.einsum("dkl,dl->dk", roots[chosen], normal)
        smooth = np.einsum("dsk,dk->ds", self._design(gains, np.broadcast_to(progress, gains.shape)), weights)
        return smooth + scatters[chosen, None] * rng.normal(size=(len(gains), 1))

    def _posterior(
        self,
    ) -> tuple[
        Float[np.ndarray, "node"],
        Float[np.ndarray, "node"],
        Float[np.ndarray, "node shape"],
        Float[np.ndarray, "node shape shape"],
    ]:
        """The scatters of the grid, their chances, and the weights' mean and a root of their covariance at each."""
        scatters = self.composition.scatter * np.exp(SPREAD * NODES)
        parts = [self._given(scatter) for scatter in scatters.tolist()]
        evidence = np.array([part[0] for part in parts]) - 0.5 * NODES**2
        means, roots = (np.stack([part[i] for part in parts]) for i in (1, 2))
        return scatters, special.softmax(evidence), means, roots

    def _given(self, scatter: float) -> tuple[float, Float[np.ndarray, "shape"], Float[np.ndarray, "shape shape"]]:
        """Log evidence of the looks, and the weights' mean and a root of their covariance, where looks scatter by
        `scatter`."""
        prior = np.array([shape.mean for shape in self.composition.shapes])
        precision = np.diag([shape.spread**-2.0 for shape in self.composition.shapes])
        design = self._design(self.gains, self.progress) / scatter
        off = self.changes / scatter - design @ prior
        updated = np.linalg.cholesky(precision + design.T @ design)
        root = linalg.solve_triangular(updated, np.eye(prior.size), lower=True).T
        moved = root @ (root.T @ (design.T @ off))
        evidence = (
            -self.changes.size * np.log(scatter) - np.log(np.diag(updated)).sum() - 0.5 * off @ (off - design @ moved)
        )
        return float(evidence), prior + moved, root

    def _design(self, gains: Gains, progress: Gains) -> Float[np.ndarray, "*gain shape"]:
        return np.stack([shape.at(gains, progress) for shape in self.composition.shapes], axis=-1)


def _followed(curve: Curve, gains: Gains, progress: Gains | None = None) -> Gains:
    """The curve's change of SFT loss at gains of reward, straight on beyond its `TRUSTED` part. Before its start it is
    mirrored: at an untrained policy its slope there is 1/(next to nothing), and a reward that wobbles below the start's
    is no walk back along the path."""
    grid = curve.reward - curve.reward[0]
    last = max(1, int(np.searchsorted(grid, TRUSTED * grid[-1])))
    known, change = grid[: last + 1], curve.loss_change[: last + 1]
    slope = (change[-1] - change[-2]) / (known[-1] - known[-2])
    size = np.abs(gains)
    return np.sign(gains) * (np.interp(size, known, change) + slope * np.maximum(size - known[-1], 0.0))
