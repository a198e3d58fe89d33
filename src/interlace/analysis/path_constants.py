"""What the landscape is like all along a stage: its least PL constants and its largest smoothness (C3, B4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from interlace.encoding import jsonable
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import RAW
from interlace.statistics import together
from interlace.statistics.unbiased import clipped
from interlace.store import StageRecord

IS_LARGEST: Mapping[str, bool] = {"pl_constant_sft": False, "pl_constant_reward": False, "smoothness": True}
"""The quantities, and whether the path's constant is the largest reading along it: of mu it is the least."""


@dataclass(frozen=True, slots=True)
class PathConstant:
    """A constant of the landscape along one stage, as its looks read it (raw weights).

    `figure`: the extreme reading, its interval at 95 % over all looks together (Bonferroni); between looks nothing is
    known. `step`: where it was read. `looks`: how many read it; `silent`: at how many of them it could not be told,
    most often because the gradient is not resolved from 0, so that mu may be next to nothing there.
    """

    quantity: str
    task: str
    figure: Figure
    step: int | None
    looks: int
    silent: int

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


def path_constants(stage: StageRecord) -> Iterator[PathConstant]:
    """Those of every task that the stage read them on."""
    read: dict[tuple[str, str], dict[int, Figure]] = {}
    for item in stage.measurements:
        if item.quantity in IS_LARGEST and item.point.weights == RAW and item.point.position is None:
            read.setdefault((item.quantity, item.point.task), {})[item.point.step] = item.figure
    for (quantity, task), figures in read.items():
        yield _constant(quantity, task, figures)


def _constant(quantity: str, task: str, figures: Mapping[int, Figure]) -> PathConstant:
    told = {step: figure for step, figure in figures.items() if isinstance(figure, Estimate)}
    silent = len(figures) - len(told)
    if not told:
        reason = next(figure.reason for figure in figures.values() if isinstance(figure, Unresolved))
        return PathConstant(quantity, task, Unresolved(f"at none of its looks: {reason}"), None, len(figures), silent)
    pick = max if IS_LARGEST[quantity] else min
    step = pick(told, key=lambda at: told[at].value)
    extreme = _extreme(list(told.values()), told[step], pick)
    figure = extreme if IS_LARGEST[quantity] else clipped(extreme, 0.0, math.inf)
    return PathConstant(quantity, task, figure, step, len(figures), silent)


def _extreme(told: Sequence[Estimate], extreme: Estimate, pick: Any) -> Estimate:
    """The extreme value, between the extremes of both ends: where every look's interval holds, so does this."""
    wide = [together(each, len(told)) for each in told]
    lower, upper = pick(each.lower for each in wide), pick(each.upper for each in wide)
    return replace(extreme, lower=lower, upper=upper, method=f"extreme of {len(told)} looks, Bonferroni")
