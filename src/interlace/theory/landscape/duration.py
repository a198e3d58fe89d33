"""B5 and B6: how long to train, in closed form, on the simplest landscape that has a trade-off.

The model: PL of R is tight on the path (R* - R falls as e^{-2 mu t}), the parameters move straight along d, and L is
quadratic along it with `curvature` kappa and initial slope -c g: c = `alignment` = cos(-grad L, d), g =
`gradient_norm` = norm(grad L) at the start. With D0 = `gap` = R* - R and S = sqrt(2 D0/mu), the whole path's length,
the `progress` u = 1 - e^{-mu t} in [0, 1] says how far along the path the parameters are: R has risen by D0 (2u - u^2),
L by -c g S u + kappa S^2 u^2/2. Time is gradient-flow time (step size x steps), not A's RL time.

Everything is computed from the ratios `pull` = c g/sqrt(2 mu D0), the nats gained per unit of reward at the start, and
kappa/mu: Phi(u) = D0 u (2 (1 + lambda pull) - (1 + lambda kappa/mu) u).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.theory.landscape.figures import Figures, Result, check, figure, refuse


class Duration(NamedTuple):
    """B5, B6: where to stop: `progress` in [0, 1] on the path, gradient-flow `time` there, `value` gained by then."""

    progress: Result
    time: Result
    value: Result


def tradeoff_on_path(
    progress: Figures,
    gap: Figures,
    pl_constant: Figures,
    exchange_rate: Figures,
    alignment: Figures,
    gradient_norm: Figures,
    curvature: Figures,
) -> Figures:
    """B5: Phi(u) = D0 (2u - u^2) + lambda (c g S u - kappa S^2 u^2/2), reward units: R - lambda L against the start.

    Raises DataError if `progress` is outside [0, 1], `pl_constant` is not positive, `alignment` is no cosine, or `gap`,
    `exchange_rate` or `gradient_norm` is negative.

    >>> tradeoff_on_path(0.5, 1.0, 2.0, exchange_rate=1.0, alignment=0.0, gradient_norm=0.0, curvature=2.0)
    0.5
    """
    check(progress=progress, exchange_rate=exchange_rate)
    pull, bend = _loss_shape(gap, pl_constant, alignment, gradient_norm, curvature)
    u, rate = np.asarray(progress), np.asarray(exchange_rate)
    return figure(gap * u * ((2.0 - u) + rate * (2.0 * pull - bend * u)))


def optimal_duration(
    gap: Figures,
    pl_constant: Figures,
    exchange_rate: Figures,
    alignment: Figures,
    gradient_norm: Figures,
    curvature: Figures,
) -> Duration:
    """B5: the progress u* that maximises R - lambda L on the path, its time and its value in reward units.

    u* = clip((2 D0 + lambda c g S)/(2 D0 + lambda kappa S^2), 0, 1) where the denominator is positive, else the better
    end (0 if they tie); t* = -log(1 - u*)/mu, inf at u* = 1. `gap` 0: nothing to gain, 0 everywhere. t* never rises
    with `curvature`, so that bounds on it bracket t*. The time is finite, and right, where u* only rounds to 1.

    Raises DataError as `tradeoff_on_path`.
    """
    check(exchange_rate=exchange_rate)
    pull, bend = _loss_shape(gap, pl_constant, alignment, gradient_norm, curvature)
    scale = np.maximum(1.0, exchange_rate)  # so that a huge exchange rate cannot overflow
    rate = exchange_rate / scale
    best = _best(1.0 / scale + rate * pull, 1.0 / scale + rate * bend, rate * (bend - pull))
    some = np.asarray(gap) > 0.0
    return Duration(
        progress=figure(np.where(some, best.progress, 0.0)),
        time=figure(np.where(some, best.exponent / pl_constant, 0.0)),
        value=figure(gap * (scale * best.height)),
    )


def optimal_duration_at_optimum(
    gap: Figures, pl_constant: Figures, exchange_rate: Figures, curvature: Figures
) -> Duration:
    """B5 from an SFT optimum (gradient 0): t* = log(1 + mu/(lambda kappa))/mu, whatever the `gap` > 0.

    The value is D0/(1 + lambda kappa/mu). At an optimum kappa >= 0, and 0 is possible under PL: then t* is inf.

    Raises DataError as `optimal_duration`.

    >>> optimal_duration_at_optimum(gap=3.0, pl_constant=2.0, exchange_rate=1.0, curvature=4.0).value
    1.0
    """
    no_slope = figure(np.zeros(()))
    return optimal_duration(gap, pl_constant, exchange_rate, no_slope, no_slope, curvature)


def least_loss_progress(
    gap: Figures, pl_constant: Figures, alignment: Figures, gradient_norm: Figures, curvature: Figures
) -> Figures:
    """B5: the progress u_min at which SFT loss is least on the path: clip(c g/(kappa S), 0, 1) if kappa > 0.

    If kappa <= 0 the better end, 0 if they tie. Raises DataError as `optimal_duration`.
    """
    pull, bend = _loss_shape(gap, pl_constant, alignment, gradient_norm, curvature)
    return figure(_best(pull, bend, bend - pull).progress)


def break_even_progress(
    gap: Figures, pl_constant: Figures, alignment: Figures, gradient_norm: Figures, curvature: Figures
) -> Figures:
    """B5: the progress u_dag = 2 c g/(kappa S) in (0, 1] at which SFT loss is back at its start; inf if it never is.

    kappa > 0: it is lower before and higher after. kappa < 0: higher before and lower after. Raises DataError as
    `optimal_duration`.
    """
    pull, bend = _loss_shape(gap, pl_constant, alignment, gradient_norm, curvature)
    with np.errstate(over="ignore"):
        back = np.divide(2.0 * pull, bend, out=np.zeros_like(pull), where=bend != 0.0)
    return figure(np.where((back > 0.0) & (back <= 1.0), back, np.inf))


def optimal_sft_duration(
    gap: Figures,
    pl_constant: Figures,
    exchange_rate: Figures,
    alignment: Figures,
    gradient_norm: Figures,
    curvature: Figures,
) -> Duration:
    """B6, SFT after RL: the progress of SFT that minimises L - R/lambda on its path; `value` in NATS.

    B5 mirrored: `gap` = L - L* at the start, `pl_constant` is L's, `alignment` = cos(grad R, d), `gradient_norm` =
    norm(grad R). `exchange_rate` is the same lambda as everywhere: 1/lambda is taken here, not by the caller.

    SIGN: `curvature` is MINUS the curvature of the reward along d, d^T (-Hess R) d / norm(d)^2. The caller negates. A
    reward that bends down along SFT's path (d^T Hess R d < 0), as at its maximum, has `curvature` > 0: damage.

    Raises DataError as `optimal_duration`, and if `exchange_rate` is 0: then no SFT is worth anything.
    """
    check(exchange_rate=exchange_rate)
    worth = np.asarray(np.greater_equal(exchange_rate, np.finfo(np.float64).tiny))  # below it 1/lambda is inf
    refuse("exchange_rate", exchange_rate, worth, "be positive for SFT after RL (B6)", "At 0 leave the SFT stage out.")
    reward_price = figure(np.divide(1.0, exchange_rate))  # nats that a unit of reward is worth
    return optimal_duration(gap, pl_constant, reward_price, alignment, gradient_norm, curvature)


class _Best(NamedTuple):
    """The u in [0, 1] that maximises the `height` u (2 start - bend u), and -log(1 - u)."""

    progress: Result
    exponent: Result
    height: Result


def _loss_shape(
    gap: Figures, pl_constant: Figures, alignment: Figures, gradient_norm: Figures, curvature: Figures
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The loss along the path is -D0 u (2 pull - bend u): pull = c g/sqrt(2 mu D0) (0 if D0 = 0), bend = kappa/mu."""
    check(gap=gap, pl_constant=pl_constant, alignment=alignment, gradient_norm=gradient_norm, curvature=curvature)
    slope, steepness, bend = np.broadcast_arrays(
        np.multiply(alignment, gradient_norm),
        np.sqrt(2.0 * np.multiply(pl_constant, gap)),  # norm(grad R) at the start: PL is tight
        np.divide(curvature, pl_constant),
    )
    return np.divide(slope, steepness, out=np.zeros(slope.shape), where=steepness > 0.0), bend


def _best(start: Figures, bend: Figures, spare: Figures) -> _Best:
    """`spare` is bend - start, without the digits that the subtraction would lose."""
    inside = (start > 0.0) & (bend > 0.0) & (spare > 0.0)
    whole = ~inside & (2.0 * start > bend)  # concave: the slope is still positive at 1; convex: 1 beats 0
    peak = np.divide(start, bend, out=np.zeros(np.shape(start)), where=inside)
    with np.errstate(over="ignore"):
        odds = np.divide(start, spare, out=np.where(whole, np.inf, 0.0), where=inside)
    progress = np.where(whole, 1.0, np.minimum(peak, 1.0))
    return _Best(progress, np.log1p(odds), progress * (2.0 * start - bend * progress))
