"""Arms over several recipes: interquartile means with seeds drawn anew within each, probabilities, and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.comparison import Shootout
from interlace.analysis.shootout.ranks import comparisons_of, places, places_of, resolved_or_diverged
from interlace.analysis.shootout.row import NOT_SEEN, OPPONENT, ShootoutRow
from interlace.encoding import jsonable
from interlace.errors import DataError
from interlace.estimate import THIS_RECIPE, Figure, Unresolved
from interlace.statistics import interquartile_mean_interval, rate_interval

RESAMPLES = 30_000
"""As many as the far quantiles of 3 seeds of 2 tasks need."""
ONE_SEED = Unresolved("one run a task has no place over runs: run more seeds")


@dataclass(frozen=True, slots=True)
class Standing:
    """One arm under one kind of weights over `tasks` recipes, of each the `num_seeds` seeds that all of them have.

    `gain_share`: interquartile mean over all runs of the value over the greatest attainable by any policy (D9),
    fraction; `better`: the share of runs, of all recipes, in which its value is above that of `against` from the same
    start, with the exact interval; `rank`: its place by value among the arms that all recipes have, mean over recipes;
    the intervals of all places of one kind of weights hold together.
    """

    arm: str
    weights: str
    against: str
    tasks: int
    num_seeds: int
    gain_share: Figure
    better: Figure
    rank: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


def standings(shootouts: Sequence[Shootout]) -> list[Standing]:
    """The arms that all of `shootouts` have, over the seeds that all of them have; best mean place first within each
    kind of weights. Each pair of tasks of a recipe counts by itself.

    Raises DataError for fewer than two of them, different arms to be held against, or where no seed or no arm is in
    all.
    """
    if len(shootouts) < 2:
        raise DataError(f"standings must have shoot-outs of two recipes or more. Got {len(shootouts)}. Give more runs.")
    against = list(dict.fromkeys(found.against for found in shootouts))
    if len(against) > 1:
        raise DataError(
            f"standings must have one arm that others are held against. Got {', '.join(against)}. Say which."
        )
    seeds = [seed for seed in shootouts[0].seeds if all(seed in found.seeds for found in shootouts)]
    if not seeds:
        each = "; ".join(", ".join(map(str, found.seeds)) for found in shootouts)
        raise DataError(f"standings must have a seed that all recipes have. Got {each}. Run the same seeds of each.")
    kinds = dict.fromkeys(row.weights for found in shootouts for row in found.rows)
    found = [standing for weights in kinds for standing in _of_weights(shootouts, weights, seeds)]
    if not found:
        raise DataError("standings must have an arm that all recipes have. Got none. Name arms alike in them.")
    return found


def _of_weights(shootouts: Sequence[Shootout], weights: str, seeds: Sequence[int]) -> list[Standing]:
    tasks = [
        ([found.seeds.index(seed) for seed in seeds], {row.arm: row for row in found.rows
                                                       if row.weights == weights and row.pair == pair})
        for found in shootouts
        for pair in found.pairs
    ]  # fmt: skip
    shared = [arm for arm in tasks[0][1] if all(arm in rows for _, rows in tasks)]
    if not shared:
        return []
    values = np.array([[np.array(rows[arm].values)[runs] for runs, rows in tasks] for arm in shared])
    by_arm, against = dict(zip(shared, values, strict=True)), shootouts[0].against
    found = [
        Standing(
            arm=arm,
            weights=weights,
            against=against,
            tasks=len(tasks),
            num_seeds=len(seeds),
            gain_share=_gain_share([(runs, rows[arm]) for runs, rows in tasks]),
            better=_better(by_arm, arm, against),
            rank=rank,
        )
        for arm, rank in zip(shared, _ranks(values), strict=True)
    ]
    return [found[number] for number in np.argsort(_mean_places(values), kind="stable").tolist()]


def _gain_share(tasks: Sequence[tuple[list[int], ShootoutRow]]) -> Figure:
    missing = [row.recipe for _, row in tasks if not row.gain_shares]
    if missing:
        return Unresolved(f"the attainable gain is not known on {', '.join(missing)}")
    shares = np.array([np.array(row.gain_shares)[runs] for runs, row in tasks])
    return interquartile_mean_interval(shares, rng=np.random.default_rng(0), unit="fraction", resamples=RESAMPLES)


def _better(values: Mapping[str, Float[np.ndarray, "task seed"]], arm: str, against: str) -> Figure:
    if arm == against:
        return OPPONENT
    if against not in values:
        return NOT_SEEN
    wins, runs = int((values[arm] > values[against]).sum()), values[arm].size
    return rate_interval(wins, runs, kind="clopper_pearson")


def _ranks(values: Float[np.ndarray, "arm task seed"]) -> list[Figure]:
    """Each task's runs speak for it alone; the differences of all tasks hold together."""
    arms, tasks, seeds = values.shape
    if seeds < 2:
        return [ONE_SEED] * arms
    by_task = values.transpose(1, 2, 0)
    above = np.stack([resolved_or_diverged([each], tasks * comparisons_of(arms)) for each in by_task])
    return places_of(by_task.mean(axis=1), above, seeds, f"seeds of {tasks} tasks", THIS_RECIPE)


def _mean_places(values: Float[np.ndarray, "arm task seed"]) -> Float[np.ndarray, "arm"]:
    """What diverged on a task comes after all that did on none."""
    means = values.mean(axis=-1)
    return places(means.T).mean(axis=0) + len(means) * ~np.isfinite(means).all(axis=1)
