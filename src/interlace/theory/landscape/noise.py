"""B8: what random updates do to the SFT loss on average: drift by their mean, diffusion by their spread.

Exact where L is quadratic; else up to third order in the update. Diffusion has the sign of the curvature that the noise
meets: near a minimum it raises the loss, on a ridge (an indefinite Hessian) it can lower it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.theory.landscape.figures import Figures, Result, check, figure, refuse


class DriftDiffusion(NamedTuple):
    """B8: the expected change of SFT loss as `drift` + `diffusion`, nats. Positive: raises it."""

    drift: Result
    diffusion: Result


class DriftLoss(NamedTuple):
    """B8's referee: the SFT `loss` on the drift path, and the `diffusion` of one run above it, nats."""

    loss: Result
    diffusion: Result


def drift_and_diffusion(
    gradient: Float[np.ndarray, "*#batch parameter"],
    hessian: Float[np.ndarray, "*#batch parameter parameter"],
    mean: Float[np.ndarray, "*#batch parameter"],
    covariance: Float[np.ndarray, "*#batch parameter parameter"],
) -> DriftDiffusion:
    """B8: E L(theta + d) - L(theta) = drift + diffusion up to third order, d random with that mean and covariance.

    drift = <grad L, mean> + mean^T H mean/2; diffusion = tr(H Cov)/2. Leading axes are a batch of states.
    """
    bent = np.einsum("...i,...ij,...j->...", mean, hessian, mean)
    drift = np.einsum("...i,...i->...", gradient, mean) + 0.5 * bent
    return DriftDiffusion(figure(drift), figure(0.5 * np.einsum("...ij,...ji->...", hessian, covariance)))


def diffusion_from_pair(loss_first: Figures, loss_second: Figures, loss_midpoint: Figures) -> Figures:
    """B8: L(theta + d1) + L(theta + d2) - 2 L(theta + (d1 + d2)/2): its mean over pairs is the diffusion, nats.

    d1 and d2 are independent updates from one state: three forwards, no Hessian-vector product. The curvature is met
    at the midpoint, so the mean is E L(theta + d) - L(theta + E d) to THIRD order where the noise is not skewed.
    """
    return figure(np.subtract(loss_first, loss_midpoint) + np.subtract(loss_second, loss_midpoint))


def averaged_diffusion(diffusion: Figures, num_runs: Figures) -> Figures:
    """B8: what is left of `diffusion` when the weights of `num_runs` independent runs are averaged: c/S, nats.

    Raises DataError if `num_runs` is below 1.
    """
    check(num_runs=num_runs)
    return figure(np.divide(diffusion, num_runs))


def drift_loss(mean_loss: Figures, averaged_loss: Figures, num_runs: Figures) -> DriftLoss:
    """B8's referee: the drift path's loss from S runs, (S L(averaged weights) - mean of L(runs))/(S - 1), nats.

    The runs are independent, from one start, at one step. In the mean this is the intercept at 1/S = 0 of
    E L = L_drift + c/S (second order), c the diffusion.

    Raises DataError if `num_runs` is below 2.

    >>> drift_loss(mean_loss=1.75, averaged_loss=1.0, num_runs=4)
    DriftLoss(loss=0.75, diffusion=1.0)
    """
    several = np.asarray(np.greater_equal(num_runs, 2.0))
    refuse("num_runs", num_runs, several, "be at least 2", "One run cannot tell its diffusion from drift.")
    diffusion = np.subtract(mean_loss, averaged_loss) * np.divide(num_runs, np.subtract(num_runs, 1.0))
    return DriftLoss(figure(mean_loss - diffusion), figure(diffusion))


def noise_share(momentum: float, num_steps: int = 1) -> float:
    """B8: how much of the diffusion that `num_steps` steps will have caused in the end shows right after the last one.

    The mean over i = 1..h of (1 - b^i)^2, b = `momentum`, where updates are the running mean of gradients of decay b,
    begun at 0, with noise that is independent from step to step. One step shows (1 - b)^2; h = 3/(1 - b) steps only .53
    to .57, and h steps 1 - 1.5/(h (1 - b)) in the long run: compare forks of two lengths rather than trust one.

    Raises DataError if `momentum` is outside [0, 1) or `num_steps` is below 1.

    >>> round(noise_share(0.9), 12), round(noise_share(0.9, 30), 3)
    (0.01, 0.567)
    """
    check(momentum=momentum, num_steps=num_steps)
    refuse("num_steps", num_steps, np.asarray(num_steps >= 1), "be at least 1", "Count the steps of a fork.")
    with np.errstate(divide="ignore"):
        return float(np.square(np.expm1(np.arange(1, num_steps + 1) * np.log(momentum))).mean())
