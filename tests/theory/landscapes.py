"""Landscapes with known constants, and gradient flow and gradient steps on them, integrated without the laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy import integrate


class Landscape(NamedTuple):
    """A loss of least value 0, PL with `pl_constant` everywhere; no curvature is beyond `smoothness`, if finite."""

    value: Callable
    gradient: Callable
    hessian: Callable
    pl_constant: float
    smoothness: float


def quadratic(hessian, centre=0.0):
    """(theta - centre)^T H (theta - centre)/2; PL if H is positive semi-definite, with its least eigenvalue above 0."""
    eigenvalues = np.linalg.eigvalsh(hessian)
    positive = eigenvalues[eigenvalues > 1e-9]
    return Landscape(
        lambda x: float(0.5 * (x - centre) @ hessian @ (x - centre)),
        lambda x: hessian @ (x - centre),
        lambda x: hessian,
        positive.min() if positive.size and eigenvalues.min() > -1e-9 else math.nan,
        np.abs(eigenvalues).max(),
    )


def _valley_hessian(p):
    x, y = p
    across = np.array([-math.cos(x), 1.0])
    return np.outer(across, across) + (y - math.sin(x)) * np.diag([math.sin(x), 0.0])


VALLEY = Landscape(
    lambda p: 0.5 * (p[1] - math.sin(p[0])) ** 2,
    lambda p: (p[1] - math.sin(p[0])) * np.array([-math.cos(p[0]), 1.0]),
    _valley_hessian,
    1.0,
    math.inf,  # 2 + abs(y - sin x) within that height
)
"""(y - sin x)^2/2: PL, its minima are a curve, curvatures of both signs off it and 0 along it."""

WAVY = Landscape(
    lambda p: p[0] ** 2 + 3 * math.sin(p[0]) ** 2,
    lambda p: np.array([2 * p[0] + 3 * math.sin(2 * p[0])]),
    lambda p: np.array([[2 + 6 * math.cos(2 * p[0])]]),
    0.1755,
    8.0,
)
"""x^2 + 3 sin^2 x: PL, not convex."""


@st.composite
def pl_landscapes(draw, smooth=False):
    """(landscape, start): quadratics of 1 to 4 dimensions (some flat directions), the wavy one, the valley."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["quadratic", "wavy"] if smooth else ["quadratic", "wavy", "valley"]))
    if kind == "quadratic":
        dimension = draw(st.integers(1, 4))
        eigenvalues = rng.uniform(0.2, 4.0, dimension) * (rng.random(dimension) < 0.8)
        eigenvalues[0] = rng.uniform(0.2, 4.0)
        return quadratic(rotated(rng, eigenvalues)), 2.0 * rng.normal(size=dimension)
    if kind == "wavy":
        return WAVY, rng.uniform(-7.0, 7.0, 1)
    return VALLEY, rng.uniform(-3.0, 3.0, 2)


def rotated(rng, eigenvalues):
    """A symmetric matrix of those eigenvalues in a random basis."""
    basis, _ = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))
    return basis @ np.diag(eigenvalues) @ basis.T


def flow(gradient, start, time):
    """Where d theta/dt = -gradient ends after `time`, and the length of its path."""

    def rhs(_, state):
        slope = gradient(state[:-1])
        return [*-slope, math.sqrt(slope @ slope)]

    end = integrate.solve_ivp(rhs, (0.0, time), [*start, 0.0], method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    return end[:-1], end[-1]


def steps(gradient, start, step_size, num_steps):
    """Where gradient steps end, and the length of their path."""
    point, length = np.asarray(start, dtype=float), 0.0
    for _ in range(num_steps):
        update = -step_size * gradient(point)
        point, length = point + update, length + math.sqrt(update @ update)
    return point, length


def cosine(a, b):
    """0 if one is the zero vector."""
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms > 0.0 else 0.0
