"""B2 and B3: what one update does to the SFT loss, and when its sign is certain.

`smoothness` is l: no curvature of L on the update's segment is above l or below -l. `update_norm` is the length D of
the update d REALLY applied, Adam, clipping and all; `alignment` is c = cos(-grad L, d), so that c > 0 lowers L at
first. The same laws serve the reward with grad R in place of -grad L, all signs turned.
"""

from __future__ import annotations

import numpy as np

from interlace.theory.landscape.figures import Bounds, Figures, Truths, check, figure, truth


def loss_change_bounds(inner_product: Figures, smoothness: Figures, update_norm: Figures) -> Bounds:
    """B2: L(theta + d) - L(theta) lies in <grad L, d> -/+ l D^2/2, nats. Positive: the update raises SFT loss.

    `inner_product` is <grad L, d>. Attained by quadratics of curvature -l and l along d.

    Raises DataError if `smoothness` or `update_norm` is negative.

    >>> loss_change_bounds(-0.5, smoothness=2.0, update_norm=0.5)
    Bounds(lower=-0.75, upper=-0.25)
    """
    check(inner_product=inner_product, smoothness=smoothness, update_norm=update_norm)
    slack = 0.5 * np.multiply(smoothness, np.square(update_norm))
    return Bounds(figure(inner_product - slack), figure(inner_product + slack))


def update_lowers_loss(alignment: Figures, gradient_norm: Figures, smoothness: Figures, update_norm: Figures) -> Truths:
    """B3: whether an update is CERTAIN to lower SFT loss: c norm(grad L) > l D/2. False: not certain.

    An update of norm 0 lowers nothing.

    Raises DataError if `alignment` is no cosine or another argument is negative.
    """
    check(alignment=alignment, gradient_norm=gradient_norm, smoothness=smoothness, update_norm=update_norm)
    falls = np.multiply(alignment, gradient_norm) > 0.5 * np.multiply(smoothness, update_norm)
    return truth(falls & (np.asarray(update_norm) > 0.0))


def update_raises_loss(
    alignment: Figures,
    gradient_norm: Figures,
    smoothness: Figures,
    update_norm: Figures,
    *,
    curvature: Figures | None = None,
) -> Truths:
    """B3: whether an update is CERTAIN to raise SFT loss: c norm(grad L) < -l D/2. False: not certain.

    With `curvature` k, where the curvature of L along the WHOLE step is at least k: also if c norm(grad L) < k D/2,
    which a c > 0 can meet. An update of norm 0 raises nothing.

    Raises DataError as `update_lowers_loss`, or if `curvature` is not finite.
    """
    check(alignment=alignment, gradient_norm=gradient_norm, smoothness=smoothness, update_norm=update_norm)
    least = np.negative(smoothness)
    if curvature is not None:
        check(curvature=curvature)
        least = np.maximum(least, curvature)
    rises = np.multiply(alignment, gradient_norm) < 0.5 * np.multiply(least, update_norm)
    return truth(rises & (np.asarray(update_norm) > 0.0))


def suboptimality_threshold(
    smoothness: Figures, update_norm: Figures, pl_constant: Figures, alignment: Figures
) -> Figures:
    """B3: under PL an update with c > 0 is certain to lower SFT loss while L - L* > (l D)^2 / (8 mu c^2), nats.

    inf if c <= 0. Below it that step's guarantee is gone, not that of a shorter one: the threshold falls as D^2.

    Raises DataError if `pl_constant` is not positive, or as `update_lowers_loss`.

    >>> suboptimality_threshold(smoothness=2.0, update_norm=0.5, pl_constant=0.5, alignment=0.5)
    1.0
    """
    check(smoothness=smoothness, update_norm=update_norm, pl_constant=pl_constant, alignment=alignment)
    reach = np.multiply(smoothness, update_norm) / np.sqrt(8.0 * np.asarray(pl_constant))
    down = np.asarray(alignment) > 0.0
    with np.errstate(over="ignore"):
        return figure(np.where(down, np.square(reach / np.where(down, alignment, 1.0)), np.inf))
