"""Several seeds of a recipe: what the recipe does, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.analysis.summary import SCHEMA_VERSION, ObjectiveChange, RunSummary, StageSummary
from interlace.encoding import jsonable
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import seed_interval


@dataclass(frozen=True, slots=True)
class ObjectiveChangeAcrossSeeds:
    """An objective before and after a stage, and its change, over seeds (scope "this recipe")."""

    recipe: str
    stage: str
    task: str
    objective: str
    weights: str
    before: Figure
    after: Figure
    change: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        names = ("recipe", "stage", "task", "objective", "weights", "before", "after", "change")
        return {name: jsonable(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True)
class FigureAcrossSeeds:
    """Another figure of a stage over seeds: a part of a split, a landmark."""

    recipe: str
    stage: str
    weights: str
    name: str
    figure: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {name: jsonable(getattr(self, name)) for name in ("recipe", "stage", "weights", "name", "figure")}


FIGURES: Mapping[str, Callable[[StageSummary, str], Figure]] = {
    "right": lambda stage, weights: stage.split[weights].right,
    "wrong": lambda stage, weights: stage.split[weights].wrong,
    "tilt": lambda stage, weights: stage.split[weights].tilt,
    "off_path": lambda stage, weights: stage.split[weights].off_path,
    "rl_time": lambda stage, weights: stage.split[weights].rl_time,
    "reward_at_least_sft_loss": lambda stage, weights: stage.landmarks[weights].reward_at_least_sft_loss,
    "expert_reward": lambda stage, weights: stage.expert_reward,
}


def alike(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """The runs of each recipe with the same stages, in order of first appearance."""
    groups: dict[tuple[str, tuple[str, ...]], list[RunSummary]] = {}
    for summary in summaries:
        groups.setdefault((summary.recipe, summary.stages.names), []).append(summary)
    return list(groups.values())


def seed_groups(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """The groups of `alike` that can be averaged: several seeds, none of them twice."""
    return [group for group in alike(summaries) if len({run.seed for run in group}) == len(group) > 1]


def across_seeds(summaries: Sequence[RunSummary]) -> list[ObjectiveChangeAcrossSeeds]:
    """Every objective of every stage over the runs of each of the `seed_groups`."""
    return [
        _objective(group[0].recipe, stages, change)
        for group in seed_groups(summaries)
        for stage, stages in _matched(group)
        for change in stage.objectives
    ]


def figures_across_seeds(summaries: Sequence[RunSummary]) -> list[FigureAcrossSeeds]:
    """The splits' parts and the landmarks' figures over the runs of each of the `seed_groups`.

    A figure that some seeds lack is Unresolved and says how many; one that all seeds lack is left out.
    """
    return [item for group in seed_groups(summaries) for item in _figures(group)]


def over_seeds(figures: Sequence[Figure]) -> Figure:
    """The mean of one figure over seeds; unresolved if it is in any seed, because leaving seeds out would choose."""
    values = [figure.value for figure in figures if isinstance(figure, Estimate)]
    missing = [figure.reason for figure in figures if isinstance(figure, Unresolved)]
    if missing:
        return Unresolved(f"{len(missing)} of {len(figures)} seeds have no figure: {missing[0]}")
    return seed_interval(values, unit=next(figure.unit for figure in figures if isinstance(figure, Estimate)))


def result_json(summaries: Sequence[RunSummary]) -> dict[str, Any]:
    """What ``run --json`` and ``report --json`` print."""
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [summary.to_json() for summary in summaries],
        "across_seeds": [item.to_json() for item in across_seeds(summaries)],
        "figures_across_seeds": [item.to_json() for item in figures_across_seeds(summaries)],
    }


def _matched(group: Sequence[RunSummary]) -> list[tuple[StageSummary, list[StageSummary]]]:
    """Each stage of the first run with the same stage of every run."""
    return [(stage, [run.stages[stage.name] for run in group]) for stage in group[0].stages]


def _objective(recipe: str, stages: Sequence[StageSummary], change: ObjectiveChange) -> ObjectiveChangeAcrossSeeds:
    seen = [stage.objective(change.objective, change.weights, change.task) for stage in stages]
    return ObjectiveChangeAcrossSeeds(
        recipe=recipe,
        stage=stages[0].name,
        task=change.task,
        objective=change.objective,
        weights=change.weights,
        before=over_seeds([item.before for item in seen]),
        after=over_seeds([item.after for item in seen]),
        change=over_seeds([item.change for item in seen]),
    )


def _figures(group: Sequence[RunSummary]) -> list[FigureAcrossSeeds]:
    found = [
        (stage.name, weights, name, [read(same, weights) for same in stages])
        for stage, stages in _matched(group)
        for weights in stage.split
        for name, read in FIGURES.items()
        if all(weights in same.split for same in stages)
    ]
    return [
        FigureAcrossSeeds(group[0].recipe, stage, weights, name, over_seeds(figures))
        for stage, weights, name, figures in found
        if any(isinstance(figure, Estimate) for figure in figures)
    ]
