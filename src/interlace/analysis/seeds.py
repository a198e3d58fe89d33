"""Several seeds of a recipe: what the recipe does, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.analysis.averages import PerPrompt, objective_over_seeds, over_seeds, shared_values
from interlace.analysis.summary import ObjectiveChange, RunSummary, StageSummary
from interlace.encoding import jsonable
from interlace.estimate import Estimate, Figure


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


PARTS_OF_SPLIT = ("right", "wrong", "tilt", "off_path", "rl_time")
"""Those that a stage's end has by itself; a blend, which was no step of the stage, has no others."""


def alike(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """The runs of each recipe with the same stages, in order of first appearance. Stages that the recipe gives to some
    of its seeds alone do not part its runs: one that has them comes first."""
    groups: dict[tuple[str, tuple[str, ...]], list[RunSummary]] = {}
    for summary in summaries:
        groups.setdefault(_design(summary), []).append(summary)
    return [sorted(group, key=lambda run: -len(run.stages)) for group in groups.values()]


def _design(summary: RunSummary) -> tuple[str, tuple[str, ...]]:
    return summary.recipe, tuple(name for name in summary.stages.names if name not in summary.partial)


def seed_groups(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """The groups of `alike` that can be averaged, without the runs that their recipe's rule leaves out: several seeds,
    none of them twice."""
    groups = [[run for run in group if run.excluded is None] for group in alike(summaries)]
    return [group for group in groups if len({run.seed for run in group}) == len(group) > 1]


def across_seeds(summaries: Sequence[RunSummary]) -> list[ObjectiveChangeAcrossSeeds]:
    """Every objective of every stage over the runs of each of the `seed_groups`."""
    return [
        _objective(having_it, stages, change)
        for group in seed_groups(summaries)
        for having_it, stages in _matched(group)
        for change in stages[0].objectives
    ]


def figures_across_seeds(summaries: Sequence[RunSummary]) -> list[FigureAcrossSeeds]:
    """The splits' parts and the landmarks' figures over the runs of each of the `seed_groups`.

    A figure that some seeds lack is Unresolved and says how many; one that all seeds lack is left out.
    """
    return [item for group in seed_groups(summaries) for item in _figures(group)]


def excluded(summaries: Sequence[RunSummary], like: RunSummary) -> list[RunSummary]:
    """The runs of the recipe and stages of `like` that the recipe's own rule leaves out."""
    return [run for run in summaries if run.excluded is not None and _design(run) == _design(like)]


def with_stage(group: Sequence[RunSummary], name: str) -> list[RunSummary]:
    """The runs of `group` that have the stage `name`."""
    return [run for run in group if name in run.stages.names]


def _matched(group: Sequence[RunSummary]) -> list[tuple[list[RunSummary], list[StageSummary]]]:
    """For each stage of the first run: the runs that have it, and it in each of them."""
    having = [(with_stage(group, stage.name), stage.name) for stage in group[0].stages]
    return [(runs, [run.stages[name] for run in runs]) for runs, name in having]


def _objective(
    group: Sequence[RunSummary], stages: Sequence[StageSummary], change: ObjectiveChange
) -> ObjectiveChangeAcrossSeeds:
    seen = [stage.objective(change.objective, change.weights, change.task) for stage in stages]
    return ObjectiveChangeAcrossSeeds(
        recipe=group[0].recipe,
        stage=stages[0].name,
        task=change.task,
        objective=change.objective,
        weights=change.weights,
        before=objective_over_seeds(group, seen, "before"),
        after=objective_over_seeds(group, seen, "after"),
        change=objective_over_seeds(group, seen, "change"),
    )


def _figures(group: Sequence[RunSummary]) -> list[FigureAcrossSeeds]:
    found = [
        (runs, stages, weights, name, [read(same, weights) for same in stages])
        for runs, stages in _matched(group)
        for weights in stages[0].split
        for name, read in FIGURES.items()
        if all(weights in same.split for same in stages)
        if weights in stages[0].landmarks or name in PARTS_OF_SPLIT
    ]
    return [
        FigureAcrossSeeds(
            group[0].recipe, stages[0].name, weights, name, over_seeds(figures, _parts(runs, stages, weights, name))
        )
        for runs, stages, weights, name, figures in found
        if any(isinstance(figure, Estimate) for figure in figures)
    ]


def _parts(
    group: Sequence[RunSummary], stages: Sequence[StageSummary], weights: str, name: str
) -> list[PerPrompt] | None:
    """What each prompt of each seed adds to the part `name` of A11, if the seeds share them."""
    if name not in ("right", "wrong"):
        return None
    shared = shared_values(group, [stage.objective(f"sft_loss_{name}", weights) for stage in stages])
    return None if shared is None else [values.parts for values in shared]
