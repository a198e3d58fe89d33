"""What measuring checkpoints gives: cells, differences, the Pareto set, a recommendation, a line between two."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from interlace.analysis import SCHEMA_VERSION
from interlace.analysis.lenient import level_disagreement
from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.choice import recommend
from interlace.checkpoints.differences import Difference, num_comparisons
from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.objectives import compare
from interlace.checkpoints.profile import Profile, Recommendation, pareto
from interlace.encoding import encode_float
from interlace.errors import unknown_name
from interlace.estimate import Figure
from interlace.statistics import PairedDifference

COLUMNS = ("kind", "from", "checkpoint", "task", "objective", "value", "lower", "upper", "level", "n", "method", "unit",
           "scope", "p_value", "p_value_adjusted", "detectable", "unresolved")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One objective of one checkpoint on one task; of `Measured.figures`, one quantity of a probe."""

    checkpoint: str
    task: str
    objective: str
    figure: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"checkpoint": self.checkpoint, "task": self.task, "objective": self.objective,
                "estimate": self.figure.to_json()}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """The straight line of weights from one checkpoint (position 0) to another (position 1).

    `cells`, `differences` (from position 0), `pareto` and `choice` as of checkpoints, by the names of the positions.
    `choice` is one of `positions`; `written` the folder that the blend was saved to.
    """

    start: str
    end: str
    positions: tuple[float, ...]
    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    pareto: tuple[str, ...]
    choice: Recommendation
    written: str | None = None

    @property
    def chosen(self) -> float:
        """The position of the choice."""
        return self.positions[self.names.index(self.choice.checkpoint)]

    @property
    def chosen_name(self) -> str:
        """What the choice is called: an end's name, or where the blend lies."""
        ends = {0.0: self.start, 1.0: self.end}
        return ends.get(self.chosen, f"the blend at {self.choice.checkpoint} from {self.start} to {self.end}")

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {
            "from": self.start,
            "to": self.end,
            "positions": [
                {"position": encode_float(at), "name": name}
                for at, name in zip(self.positions, self.names, strict=True)
            ],
            "cells": [cell.to_json() for cell in self.cells],
            "differences": [item.to_json() for item in self.differences],
            "num_comparisons": num_comparisons(self.differences),
            "pareto": list(self.pareto),
            "recommendation": self.choice.to_json() | {"position": encode_float(self.chosen)},
            "written": self.written,
        }


@dataclass(frozen=True, eq=False)
class Measured:
    """Checkpoints x tasks x objectives, every figure with its interval over held-out prompts.

    `snapshots` hold what each prompt contributed, by (checkpoint, task): `difference` pairs any two on it. Objectives:
    ``sft_loss``, ``sft_loss_per_token``, ``sft_loss_right``, ``sft_loss_wrong``, ``reward``,
    ``kl_policy_first_nats_per_response``. `figures` are those of the probes that no cell holds (`--preset full`):
    ``gradient_cosine``, ``gradient_cosine/LAYER``, ``linearised_cost/TASK`` (what a unit of reward on TASK costs in SFT
    loss on the figure's own task, D15), ``pl_constant_sft``, ``smoothness`` and others, under the names of a run's
    measurements. `budget` and `exchange_rate`: the rule of `recommend`, unless it is told.
    """

    checkpoints: tuple[Checkpoint, ...]
    tasks: tuple[str, ...]
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    snapshots: Mapping[tuple[str, str], Snapshot] = field(repr=False)
    line: Line | None = None
    budget: float | None = None
    exchange_rate: float | None = None
    figures: tuple[Cell, ...] = ()

    def __str__(self) -> str:
        lines = [f"{cell.checkpoint}, {cell.objective} on {cell.task}: {cell.figure}" for cell in self.cells]
        return "\n".join([*lines, f"keep {self.recommendation}"])

    def figure(self, checkpoint: str, objective: str, task: str | None = None) -> Figure:
        """A cell's figure or a probe's; `task` may be left out where there is one. Raises KeyError if there is none."""
        task = self.tasks[0] if task is None else task
        for cell in (*self.cells, *self.figures):
            if (cell.checkpoint, cell.objective, cell.task) == (checkpoint, objective, task):
                return cell.figure
        raise KeyError(unknown_name("cell", f"{checkpoint}, {objective}, {task}", self._cell_names()))

    def difference(self, start: str, end: str, objective: str, task: str | None = None) -> PairedDifference:
        """An objective at `end` minus at `start`, for any two checkpoints, with its own p-value (not adjusted).

        Raises KeyError for an unknown checkpoint, objective or task.
        """
        task = self.tasks[0] if task is None else task
        return compare(objective, self.snapshots[start, task], self.snapshots[end, task])

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """Each checkpoint's snapshots, by task."""
        return profiles(self.snapshots)

    @property
    def on_format(self) -> tuple[str, ...]:
        """A sentence for each checkpoint and task where a lenient parser reads another reward, beyond the interval."""
        found = (level_disagreement(name, snapshot) for (name, _), snapshot in self.snapshots.items())
        return tuple(sentence for sentence in found if sentence)

    @property
    def pareto(self) -> tuple[str, ...]:
        """The checkpoints that no other one beats or equals in every objective (SFT loss and reward of each task)."""
        return pareto(self.profiles)

    @property
    def recommendation(self) -> Recommendation:
        """What to keep: the line's choice where there is one (the ends are among its positions), else `recommend`'s."""
        return self.recommend() if self.line is None else replace(self.line.choice, checkpoint=self.line.chosen_name)

    def recommend(self, *, budget: float | None = None, exchange_rate: float | None = None) -> Recommendation:
        """Which of the checkpoints to keep, blends left out, and why; see `choice.recommend` for the three rules."""
        if budget is None and exchange_rate is None:
            budget, exchange_rate = self.budget, self.exchange_rate
        return recommend(self.profiles, budget=budget, exchange_rate=exchange_rate)

    def to_json(self) -> dict[str, Any]:
        """The result of ``interlace measure --json``; with ``figures`` where probes found more than cells hold.

        ``recommendation`` is that of Python, by the same name; that in ``line`` goes by the position's.
        """
        head = {"schema_version": SCHEMA_VERSION, "checkpoints": [item.to_json() for item in self.checkpoints]}
        body = {
            "tasks": list(self.tasks),
            "cells": [cell.to_json() for cell in self.cells],
            "differences": [item.to_json() for item in self.differences],
            "num_comparisons": num_comparisons(self.differences),
            "on_format": list(self.on_format),
            "pareto": list(self.pareto),
            "recommendation": self.recommendation.to_json() | self._position(),
        }
        if self.figures:
            body["figures"] = [_quantity(cell) for cell in self.figures]
        return head | body | ({} if self.line is None else {"line": self.line.to_json()})

    def to_csv(self) -> str:
        """One row a figure: cells, differences, and the line's of either; then what the probes found besides."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        parts = [("", self.cells, self.differences)]
        parts += [] if self.line is None else [("line ", self.line.cells, self.line.differences)]
        for prefix, cells, differences in parts:
            writer.writerows(_row(f"{prefix}cell", cell.to_json()) for cell in cells)
            writer.writerows(_row(f"{prefix}difference", item.to_json()) for item in differences)
        writer.writerows(_row("figure", cell.to_json()) for cell in self.figures)
        return text.getvalue()

    def _position(self) -> dict[str, Any]:
        """Where on the line the recommendation lies, if there is one."""
        return {} if self.line is None else {"position": encode_float(self.line.chosen)}

    def _cell_names(self) -> list[str]:
        return [f"{cell.checkpoint}, {cell.objective}, {cell.task}" for cell in (*self.cells, *self.figures)]


def profiles(snapshots: Mapping[tuple[str, str], Snapshot], kind: str = "") -> dict[str, Profile]:
    """By checkpoint (in order), each task's snapshot; `kind` as of `Profile`."""
    found: dict[str, dict[str, Snapshot]] = {}
    for (name, task), snapshot in snapshots.items():
        found.setdefault(name, {})[task] = snapshot
    return {name: Profile(name, tasks, kind) for name, tasks in found.items()}


def _quantity(cell: Cell) -> dict[str, Any]:
    return {"checkpoint": cell.checkpoint, "task": cell.task, "quantity": cell.objective,
            "estimate": cell.figure.to_json()}  # fmt: skip


def _row(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    estimate = found["estimate"]
    where = {"from": found.get("from", ""), "checkpoint": found.get("checkpoint", found.get("to", ""))}
    own = {key: found[key] for key in ("task", "objective", "p_value", "p_value_adjusted") if key in found}
    detectable = (found.get("detectable") or {}).get("value", "")
    return {"kind": kind} | where | own | {"detectable": detectable} | estimate
