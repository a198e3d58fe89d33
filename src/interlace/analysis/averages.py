"""One figure over the seeds of a recipe: over their means, or with the prompts that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interlace.analysis.prompt_values import End, PromptValues
from interlace.analysis.summary import ObjectiveChange, RunSummary
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import paired_change, seed_interval, seed_prompt_interval
from interlace.statistics.intervals import LEVEL

PerPrompt = Float[np.ndarray, "prompt"]


def over_seeds(figures: Sequence[Figure], shared: Sequence[PerPrompt] | None = None, level: float = LEVEL) -> Figure:
    """The mean of one figure over seeds; unresolved if it is in any seed, because leaving seeds out would choose. That
    of one seed is its own, with its own scope ("this run").

    `shared`: of each seed the values that the figure is the mean of, where all seeds saw the same prompts. What is
    peculiar to these prompts is then in the interval; otherwise the seeds' own scatter holds it. `level`: of the
    figures, and of their mean.
    """
    if len(figures) == 1:
        return figures[0]
    values = [figure.value for figure in figures if isinstance(figure, Estimate)]
    missing = [figure.reason for figure in figures if isinstance(figure, Unresolved)]
    if missing:
        return Unresolved(f"{len(missing)} of {len(figures)} seeds have no figure: {missing[0]}")
    unit = next(figure.unit for figure in figures if isinstance(figure, Estimate))
    if shared is None:
        return _at_least(
            seed_interval(values, unit=unit, level=level), [each for each in figures if isinstance(each, Estimate)]
        )
    return seed_prompt_interval(np.stack(shared), shared_prompts=True, unit=unit, level=level)


def _at_least(mean: Figure, figures: Sequence[Estimate]) -> Figure:
    """Its interval no narrower than the runs' own errors leave it. Seeds scatter by these at least; that a few of them
    came out alike, or the same where few values are possible, is luck."""
    if isinstance(mean, Unresolved):
        return mean
    below, above = (
        float(np.sqrt(np.mean(np.square(ends)) / len(figures)))
        for ends in (
            [figure.value - figure.lower for figure in figures],
            [figure.upper - figure.value for figure in figures],
        )
    )
    lower, upper = min(mean.lower, mean.value - below), max(mean.upper, mean.value + above)
    if (lower, upper) == (mean.lower, mean.upper):
        return mean
    return replace(mean, lower=lower, upper=upper, method=f"{mean.method}, no narrower than the runs' own errors")


def objective_over_seeds(group: Sequence[RunSummary], changes: Sequence[ObjectiveChange], end: End) -> Figure:
    """An objective at a stage's start or end, or its change, over the runs that `changes` belong to."""
    shared = shared_values(group, changes)
    figures = [getattr(change, end) for change in changes]
    return over_seeds(figures, None if shared is None else [values.of(end) for values in shared])


def part_over_seeds(group: Sequence[RunSummary], changes: Sequence[ObjectiveChange]) -> Figure:
    """What an objective that is part of another (right or wrong responses, A11) adds to that one's change."""
    shared = shared_values(group, changes)
    return over_seeds([_part(change) for change in changes], None if shared is None else [v.parts for v in shared])


def shared_values(group: Sequence[RunSummary], changes: Sequence[ObjectiveChange]) -> list[PromptValues] | None:
    """Each run's values if all runs measured the same prompts, which their data's fingerprints say."""
    prints = {run.heldout.get(changes[0].task) for run in group}
    values = [change.prompts for change in changes if change.prompts is not None]
    same = len(prints) == 1 and None not in prints and len({item.before.size for item in values}) == 1
    return values if same and len(values) == len(changes) else None


def _part(change: ObjectiveChange) -> Figure:
    if change.prompts is None or isinstance(change.change, Unresolved):
        return change.change if isinstance(change.change, Unresolved) else Unresolved("its prompts were not kept")
    return paired_change(change.prompts.before, change.prompts.after, unit=change.change.unit)
