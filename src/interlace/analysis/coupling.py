"""The coupling table: what every arm of an experiment did to SFT loss and to reward, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from interlace.analysis.averages import part_over_seeds
from interlace.analysis.seeds import ObjectiveChangeAcrossSeeds, across_seeds, excluded, seed_groups, with_stage
from interlace.analysis.summary import RunSummary
from interlace.encoding import jsonable
from interlace.estimate import Figure


@dataclass(frozen=True, slots=True)
class CouplingRow:
    """One arm (a stage of a recipe), measured on one task under one kind of weights; figures over `num_seeds` seeds.

    `started_from`: the stage whose weights it began with (None: the recipe's model). SFT loss in nats/response; `right`
    and `wrong` are what the expert's right and wrong responses add to its change (A11). `num_excluded`: seeds that the
    recipe's own rule leaves out. `reward_lenient_change`: by the task's lenient reward; None where it was not measured.
    """

    recipe: str
    arm: str
    kind: str
    started_from: str | None
    control: str | None
    task: str
    weights: str
    num_seeds: int
    num_excluded: int
    sft_loss_before: Figure
    sft_loss_after: Figure
    sft_loss_change: Figure
    right: Figure
    wrong: Figure
    reward_change: Figure
    reward_lenient_change: Figure | None = None

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


def coupling_table(summaries: Sequence[RunSummary]) -> list[CouplingRow]:
    """A row for each stage, task and kind of weights of every recipe that has several seeds.

    Intervals are over seeds, and over prompts too where all seeds measured the same ones. Seeds that the recipe's
    `exclude_seeds` leaves out are counted.
    """
    return [row for group in seed_groups(summaries) for row in _rows(group, len(excluded(summaries, group[0])))]


def _rows(group: Sequence[RunSummary], num_excluded: int) -> list[CouplingRow]:
    found = {(row.stage, row.task, row.weights, row.objective): row for row in across_seeds(group)}
    return [
        _row(
            with_stage(group, stage),
            num_excluded,
            row,
            found[stage, task, weights, "reward"],
            found.get((stage, task, weights, "reward_lenient")),
        )
        for (stage, task, weights, objective), row in found.items()
        if objective == "sft_loss"
    ]


def _row(
    group: Sequence[RunSummary],
    num_excluded: int,
    loss: ObjectiveChangeAcrossSeeds,
    reward: ObjectiveChangeAcrossSeeds,
    lenient: ObjectiveChangeAcrossSeeds | None,
) -> CouplingRow:
    stage = group[0].stages[loss.stage]
    right, wrong = (
        part_over_seeds(
            group, [run.stages[loss.stage].objective(f"sft_loss_{side}", loss.weights, loss.task) for run in group]
        )
        for side in ("right", "wrong")
    )
    return CouplingRow(
        recipe=loss.recipe,
        arm=loss.stage,
        kind=stage.kind,
        started_from=stage.started_from,
        control=stage.control,
        task=loss.task,
        weights=loss.weights,
        num_seeds=len(group),
        num_excluded=num_excluded,
        sft_loss_before=loss.before,
        sft_loss_after=loss.after,
        sft_loss_change=loss.change,
        right=right,
        wrong=wrong,
        reward_change=reward.change,
        reward_lenient_change=None if lenient is None else lenient.change,
    )
