"""By how much one arm's value is above another's, run by run: what leads, places and standings rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from interlace.analysis.averages import over_seeds
from interlace.estimate import THIS_RECIPE, Estimate, Figure
from interlace.statistics import mean_interval, sum_of_means_interval
from interlace.statistics.intervals import LEVEL, ROUNDING
from interlace.store import RunRecord

REWARD_UNIT = "reward units"

PerPrompt = Float[np.ndarray, "_"]
"""Tasks, and runs, may each have their own number of prompts."""
Values: TypeAlias = Mapping[str, PerPrompt]
"""Of one run by task: what each prompt has of the change of R - lambda L, whose means over prompts add up to it."""


def shared_tasks(records: Sequence[RunRecord]) -> frozenset[str]:
    """Tasks whose held-out prompts are the same in all runs, which their data's fingerprints say."""
    first, *others = ({task: prints.get("heldout") for task, prints in record.manifest.get("data", {}).items()}
                      for record in records)  # fmt: skip
    return frozenset(task for task, found in first.items()
                     if found is not None and others and all(each.get(task) == found for each in others))  # fmt: skip


def scope_of(is_shared: bool) -> str:
    """What figures of runs alone speak of: where all of them have the same prompts, not of others."""
    return f"{THIS_RECIPE}, on these prompts" if is_shared else THIS_RECIPE


def speaking_of(figure: Figure, is_shared: bool) -> Figure:
    """A figure of runs alone, in the scope that it then has (`scope_of`)."""
    return replace(figure, scope=scope_of(is_shared)) if isinstance(figure, Estimate) else figure


def value_over_prompts(values: Values, level: float = LEVEL) -> Figure:
    """The change of R - lambda L of one run, reward units: over its prompts, those of each task by themselves."""
    parts = list(values.values())
    if len(parts) == 1:
        return mean_interval(parts[0], unit=REWARD_UNIT, level=level)
    return sum_of_means_interval(parts, unit=REWARD_UNIT, level=level)


def value_over_runs(runs: Sequence[Values], shared: Collection[str], comparisons: int = 1) -> Figure:
    """Mean over runs; so many figures like it hold together (Bonferroni). `shared`: the tasks whose prompts all runs
    have: what is peculiar to these is then in the interval."""
    level = 1.0 - (1.0 - LEVEL) / max(1, comparisons)
    figures = [value_over_prompts(values, level) for values in runs]
    is_shared = not set(shared).isdisjoint(runs[0])
    prompts = [in_one(list(values.values())) if isinstance(figure, Estimate) else None
               for values, figure in zip(runs, figures, strict=True)]  # fmt: skip
    found = over_runs(figures, prompts, is_shared, level)
    if isinstance(found, Estimate) and comparisons > 1:
        return replace(found, level=LEVEL, method=f"{found.method}, {comparisons} together (Bonferroni)")
    return found


def over_runs(
    figures: Sequence[Figure], prompts: Sequence[PerPrompt | None], is_shared: bool, level: float = LEVEL
) -> Figure:
    """`over_seeds` of figures of which each is the mean of its `prompts`; these are crossed with the runs where they
    are the same in all."""
    known = [each for each in prompts if each is not None]
    crossed = is_shared and len(known) == len(figures) and len({each.size for each in known}) == 1
    return over_seeds(figures, known if crossed else None, level)


def in_one(parts: Sequence[PerPrompt]) -> PerPrompt:
    """Values whose mean is the sum of the means of `parts`, and scatters as that sum does.

    >>> in_one([np.array([1.0, 3.0]), np.array([10.0, 10.0])]).tolist()
    [10.0, 14.0, 12.0, 12.0]
    """
    total, size = sum(float(part.mean()) for part in parts), sum(part.size for part in parts)
    return np.concatenate([total + size / part.size * (part - part.mean()) for part in parts])


def leads_over_runs(
    ones: Sequence[Values], others: Sequence[Values], shared: Collection[str], comparisons: int = 1
) -> Figure:
    """By how much the value is above that of others, on the same prompts of the same run; as `value_over_runs`."""
    with np.errstate(invalid="ignore"):  # inf - inf: not finite
        apart = [{task: one[task] - other[task] for task in one} for one, other in zip(ones, others, strict=True)]
    return value_over_runs(apart, shared, comparisons)


def resolved_above(
    arms: Sequence[Sequence[Values]], shared: Collection[str], comparisons: int
) -> Bool[np.ndarray, "arm arm"]:
    """[i, j]: whether arm i is resolved to be above arm j by the lead over runs, where `comparisons` pairs are to hold
    together. An arm with a value that is not finite is below all that have none.

    >>> arms = [[{"sums": np.full(4, value)} for value in runs] for runs in ((1.0, 1.1, 0.9), (0.0, 0.0, 0.0))]
    >>> resolved_above(arms, (), 1).tolist()
    [[False, True], [False, False]]
    """
    finite = np.array([all(np.isfinite(part).all() for run in runs for part in run.values()) for runs in arms])
    above = np.asarray(finite[:, None] & ~finite)
    for one, other in combinations(np.flatnonzero(finite).tolist(), 2):
        lead = leads_over_runs(arms[one], arms[other], shared, comparisons)
        if isinstance(lead, Estimate) and abs(lead.value) > ROUNDING:
            above[one, other], above[other, one] = lead.sign > 0, lead.sign < 0
    return above
