"""Path models weighed and corrected by what a run has shown so far: SFT loss against the reward gained.

The change of SFT loss is a sum of shapes: what the path models say at that gain of reward (systematic and
group-normalised), an excess in proportion to the gain (what the finite steps of a normalised optimiser cost beyond any
path), a drift in proportion to the steps (what clip, optimizer and noise pull without any reward), a step at the
beginning (the noise that raw weights take up at once and keep), and a Brownian motion in the weights' progress (what
none of these tells). Looks scatter about it. How much there is of each shape has a normal prior; all that comes on
top of the paths, the scatter included, is larger or smaller together from stage to stage (a large learning rate leaves
paths further), by a factor with a log-normal prior on a grid. Before the first look the prior is the forecast, every
look corrects it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.errors import DataError
from interlace.forecasting.curve import Curve
from interlace.forecasting.experience import Experience
from interlace.forecasting.preflight import followed_path
from interlace.forecasting.start import Start
from interlace.theory.paths import PathOptions

Gains = Float[np.ndarray, "*gain"]
TRUSTED = 0.9
"""Share of a path's whole gain up to which its curve is followed; beyond it, along its slope there: no run has followed
a path into the corner where SFT loss has no bound."""
NODES = np.linspace(-2.5, 2.5, 41)
"""The grid of the factor's logarithm, in standard deviations of its prior."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One thing that the change of SFT loss may be made of: its value at gains of reward and at the progress of the
    weights (0 at the stage's start, 1 at its end), in nats/response, and the prior mean and standard deviation of how
    much of it there is; both times the stage's own factor if `scales`."""

    name: str
    at: Callable[[Gains, Gains], Gains]
    mean: float
    spread: float
    scales: bool = True


@dataclass(frozen=True, eq=False)
class Composition:
    """What the change of SFT loss is made of, by how many nats/response a look scatters about it, and the standard
    deviation of the logarithm of a stage's own factor (priors)."""

    shapes: Sequence[Shape]
    scatter: float
    unevenness: float


PATHS = "systematic", "group_normalised"
"""The path models that a forecast is made of, the one that leads it first."""
WAVES = 4
"""Karhunen-Loeve terms of the Brownian motion: nine tenths of its variance."""


def curves_from(start: Start, options: PathOptions) -> tuple[list[Curve], list[str]]:
    """The curves of those `PATHS` that can serve the rewards at `start` and lead anywhere; why the others do not."""
    found, silent = [], []
    for model in PATHS:
        try:
            found.append(followed_path(start, model, options))
        except DataError as error:
            silent.append(f"{model}: {error}")
    return found, silent


def along_paths(curves: Sequence[Curve], experience: Experience) -> Composition:
    """SFT loss on the task that RL trains: as the curves of path models say, and what comes on top."""
    paths = [_path(curve, *getattr(experience, curve.model)) for curve in curves]
    return Composition([*paths, *_on_top(experience)], experience.scatter, experience.unevenness)


def _path(curve: Curve, mean: float, spread: float) -> Shape:
    return Shape(curve.model, partial(_followed, curve), mean, spread, scales=False)


def at_a_price(price: float, experience: Experience) -> Composition:
    """SFT loss where no path model speaks, as on a task that is not trained on: `price` nats a reward unit (D15), and
    what comes on top."""
    known = Shape("price", lambda gains, progress: gains, price, abs(price), scales=False)
    shapes = [*([known] if price else []), *_on_top(experience)]
    return Composition(shapes, experience.scatter, experience.unevenness)


def _on_top(experience: Experience) -> list[Shape]:
    return [
        Shape("excess", lambda gains, progress: gains, *experience.excess),
        Shape("drift", lambda gains, progress: progress, *experience.drift),
        Shape("step", lambda gains, progress: np.ones_like(gains), *experience.step),
        *(Shape(f"wander {k + 1}", partial(_wave, k), 0.0, experience.wander) for k in range(WAVES)),
    ]


def _wave(k: int, gains: Gains, progress: Gains) -> Gains:
    """The k-th Karhunen-Loeve term of a Brownian motion of variance 1 at progress 1."""
    turns = (k + 0.5) * np.pi
    return np.sqrt(2.0) * np.sin(turns * progress) / turns


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
        chances, means, roots = self._posterior()
        chosen = rng.choice(chances.size, size=len(gains), p=chances)
        normal = rng.normal(size=(len(gains), means.shape[1]))
        weights = means[chosen] + np.einsum("dkl,dl->dk", roots[chosen], normal)
        smooth = np.einsum("dsk,dk->ds", self._design(gains, np.broadcast_to(progress, gains.shape)), weights)
        scatter = self.composition.scatter * self._factors[chosen, None]
        return smooth + scatter * rng.normal(size=(len(gains), 1))

    def log_evidence(self) -> float:
        """Log density of the changes that were seen under the composition, factor and weights integrated out."""
        evidence, _, _ = self._given_factors()
        return float(special.logsumexp(evidence + special.log_softmax(-0.5 * NODES**2)))

    @cached_property
    def _seen(self) -> Float[np.ndarray, "look shape"]:
        return self._design(self.gains, self.progress)

    @property
    def _factors(self) -> Float[np.ndarray, "node"]:
        return np.exp(self.composition.unevenness * NODES)

    def _posterior(
        self,
    ) -> tuple[Float[np.ndarray, "node"], Float[np.ndarray, "node shape"], Float[np.ndarray, "node shape shape"]]:
        """The chances of the grid's factors, and the weights' mean and a root of their covariance at each."""
        evidence, means, roots = self._given_factors()
        return special.softmax(evidence - 0.5 * NODES**2), means, roots

    def _given_factors(
        self,
    ) -> tuple[Float[np.ndarray, "node"], Float[np.ndarray, "node shape"], Float[np.ndarray, "node shape shape"]]:
        """At each factor of the grid: log evidence of the looks, the weights' mean and a root of their covariance."""
        shapes, scatter = self.composition.shapes, self.composition.scatter * self._factors
        scale = np.where([shape.scales for shape in shapes], self._factors[:, None], 1.0)
        prior, spreads = (scale * [getattr(shape, name) for shape in shapes] for name in ("mean", "spread"))
        design = self._seen / scatter[:, None, None]
        off = self.changes / scatter[:, None] - np.einsum("nlk,nk->nl", design, prior)
        precision = np.einsum("nlk,nlj->nkj", design, design) + np.eye(len(shapes)) * spreads[:, None, :] ** -2.0
        factored = np.linalg.cholesky(precision)
        roots = np.linalg.inv(factored).swapaxes(1, 2)
        moved = np.einsum("nkj,nij,nli,nl->nk", roots, roots, design, off)
        size = np.log(np.diagonal(factored, axis1=1, axis2=2)).sum(axis=1) + np.log(spreads).sum(axis=1)
        misfit = np.einsum("nl,nl->n", off, off - np.einsum("nlk,nk->nl", design, moved))
        evidence = -self.changes.size * np.log(scatter * np.sqrt(2.0 * np.pi)) - size - 0.5 * misfit
        return evidence, prior + moved, roots

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
