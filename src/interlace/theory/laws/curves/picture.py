"""What can be drawn of a law: curves, points and marks as plain numbers, whoever draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float

Role: TypeAlias = Literal["sft_loss", "reward", "tradeoff", "other", "expert", "bound"]
"""What a curve or a point shows; whoever draws gives each a colour."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve through points in order; a number that is not finite is a gap. `dashed`: for comparison."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    role: Role
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """A single point, named; several names stand one a line."""

    name: str
    x: float
    y: float
    role: Role


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis, named: the x of all panels, or the y of one."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity on the y axis, with its unit in the title; `levels` are horizontal lines."""

    title: str
    curves: tuple[Curve, ...]
    spots: tuple[Spot, ...] = ()
    levels: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Panels over one x axis; `marks` are vertical lines through all of them.

    In a plane both axes are objectives, and its spots are what matters.
    """

    title: str
    x_title: str
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    is_plane: bool = False


Draw: TypeAlias = Callable[[Mapping[str, Any], Any], Picture]
"""Takes a law's inputs and its value."""


def curve(
    name: str, x: Float[np.ndarray, "point"], y: Float[np.ndarray, "point"], role: Role, dashed: bool = False
) -> Curve:
    """A curve of arrays."""
    return Curve(name, x.tolist(), np.broadcast_to(y, x.shape).tolist(), role, dashed)


def known(marks: Iterable[tuple[str, float | None]]) -> tuple[Mark, ...]:
    """The marks that are somewhere: neither missing nor infinite."""
    return tuple(Mark(name, at) for name, at in marks if at is not None and math.isfinite(at))


def single(inputs: Mapping[str, Any], name: str) -> float | None:
    """An input that is there, and one number."""
    value = inputs.get(name)
    return None if value is None or np.ndim(value) > 0 else float(value)
