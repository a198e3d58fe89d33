"""Curves from noisy points in order: local polynomials, as wide as their known noise asks for and no wider.

The width at which a local line has the least expected squared error is known (Stein's unbiased estimate, from the
points' own covariance). The curve is a local parabola of the next smaller width: its bias is of higher order than that
line's, so that intervals from resampled points cover (Calonico, Cattaneo, Farrell 2018; how often: `dumps` in
`tests/dumps/test_coverage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

CHOSEN_WITH, DRAWN_WITH = 1, 2
"""Degrees of the polynomials: of the line that chooses the width, of the parabola that is drawn."""
SPANS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Points in a window, those that are tried."""


@dataclass(frozen=True)
class Smoother:
    """A linear smoother: `matrix` times the points' values is the curve there. `span`: points in a window, 1: none."""

    matrix: Float[np.ndarray, "point point"]
    span: int

    def __call__(self, values: Float[np.ndarray, "*resample point"]) -> Float[np.ndarray, "*resample point"]:
        """The curve through `values`, one in each resample."""
        return values if self.span == 1 else values @ self.matrix.T


def choose_smoother(
    places: Float[np.ndarray, "point"],
    values: Float[np.ndarray, "point"],
    covariance: Float[np.ndarray, "point point"],
    counts: Float[np.ndarray, "point"],
) -> Smoother:
    """The smoother for `values` at increasing `places`, whose errors have `covariance`; `counts` weigh the points.

    Without noise worth smoothing (or with fewer than 4 points) the points themselves. Errors that all points share, as
    where the same prompts are asked at each, call for no smoothing, and get none.
    """
    spans = [span for span in SPANS if span <= len(places)]
    risks = [2.0 * float(np.trace(covariance))]
    risks += [_risk(local_polynomial(places, counts, span, CHOSEN_WITH), values, covariance) for span in spans]
    span = [1, 1, *spans][int(np.argmin(risks))]
    if span == 1:
        return Smoother(np.eye(len(places)), 1)
    return Smoother(local_polynomial(places, counts, span, DRAWN_WITH), span)


def local_polynomial(
    places: Float[np.ndarray, "point"], counts: Float[np.ndarray, "point"], span: int, degree: int
) -> Float[np.ndarray, "point point"]:
    """The matrix of a local polynomial fit over the `span` nearest points, with tricube weights times `counts`.

    It reproduces polynomials up to `degree`; rows sum to 1. `span` must be greater than `degree`.
    """
    assert span > degree
    return np.stack([_row(places - place, counts, span, degree) for place in places])


def _row(
    offsets: Float[np.ndarray, "point"], counts: Float[np.ndarray, "point"], span: int, degree: int
) -> Float[np.ndarray, "point"]:
    near = np.argsort(np.abs(offsets), kind="stable")[:span]
    reach = 1.001 * np.abs(offsets[near]).max()
    weights = np.sqrt(counts[near] * (1.0 - (np.abs(offsets[near]) / reach) ** 3) ** 3)
    powers = np.vander(offsets[near] / reach, degree + 1, increasing=True)
    row = np.zeros_like(offsets)
    row[near] = np.linalg.pinv(weights[:, None] * powers)[0] * weights
    return row


def _risk(
    matrix: Float[np.ndarray, "point point"],
    values: Float[np.ndarray, "point"],
    covariance: Float[np.ndarray, "point point"],
) -> float:
    """Stein: the residuals' square plus twice the noise that the curve follows; one constant is left out of all."""
    residual = values - matrix @ values
    return float(residual @ residual + 2.0 * np.sum(matrix * covariance))
