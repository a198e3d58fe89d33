"""What a path model is: a way in which RL moves a policy from the problem's reference, followed in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.theory.distributional.tilt import tilt_of
from interlace.theory.finite import FiniteProblem


class Point(NamedTuple):
    """Where a path stands: RL time so far (dR/V along it, D5) and log pi, -inf where the policy has no mass."""

    rl_time: float
    log_policy: Float[np.ndarray, "prompt response"]


@dataclass(frozen=True)
class PathOptions:
    """What path models may be asked about; each takes what it needs and leaves the rest."""

    group_size: float = 8
    ddof: int = 1
    kl_coefficient: float | None = None
    anchor: Float[np.ndarray, "prompt response"] | None = None


Points: TypeAlias = Callable[[FiniteProblem, Float[np.ndarray, "time"], PathOptions], Iterator[Point]]
"""The points of a path at increasing times >= 0; raises DataError for times or options that the model cannot serve."""


@dataclass(frozen=True)
class PathModel:
    """One way of moving: `points` gives where it stands at each time, `sentence` says what moves it."""

    name: str
    sentence: str
    source: str
    points: Points


def tilt_point(problem: FiniteProblem, rl_time: float) -> Point:
    """The point of the RL path (A) at `rl_time`, inf included, in logs: nothing underflows."""
    tilt = tilt_of(problem, rl_time)
    exponent = np.multiply(rl_time, tilt.gap, out=np.zeros_like(tilt.gap), where=tilt.gap != 0.0)
    with np.errstate(divide="ignore"):
        return Point(rl_time, np.log(problem.reference) + exponent - tilt.log_mass[:, None])


def natural_points(problem: FiniteProblem, times: Float[np.ndarray, "time"], options: PathOptions) -> Iterator[Point]:
    """The RL path itself: exact at any time, inf included."""
    return (tilt_point(problem, time) for time in times.tolist())


NATURAL = PathModel(
    name="natural",
    sentence="natural policy gradient on one logit a response: the RL path of A, exact",
    source="A4",
    points=natural_points,
)
