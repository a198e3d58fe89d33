"""Arms over several recipes: interquartile means, probabilities and places, with seeds drawn anew within each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.comparison import Shootout
from interlace.analysis.shootout.ranks import DRAWS, places, places_of
from interlace.analysis.shootout.row import NOT_SEEN, OPPONENT, ShootoutRow
from interlace.encoding import jsonable
from interlace.errors import DataError
from interlace.estimate import THIS_RECIPE, Figure, Unresolved
from interlace.statistics import interquartile_mean_interval, rate_interval, student_draws

RESAMPLES = 30_000
"""As many as the far quantiles of 3 seeds of 2 tasks need."""
ONE_SEED = Unresolved("one run a task has no place over runs: run more seeds")


@dataclass(frozen=True, slots=True)
class Standing:
    """One arm under one kind of weights over `tasks` recipes of `num_seeds` seeds or more each.

    `share`: interquartile mean over all runs of the part that came of the value that is to be had (D9), fraction;
    `better`: the share of runs, of all recipes, in which its value is above that of `against` from the same start, with
    the exact interval; `rank`: its place by value among the arms that all recipes have, mean over recipes.
    """

    arm: str
    weights: str
    against: str
    tasks: int
    num_seeds: int
    share: Figure
    better: Figure
    rank: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


def standings(shootouts: Sequence[Shootout]) -> list[Standing]:
    """The arms that all of `shootouts` have, best mean place first within each kind of weights; each pair of tasks of a
    recipe counts by itself.

    Raises DataError for fewer than two of them, different numbers of seeds or arms to be held against, or where no arm
    is in all.
    """
    if len(shootouts) < 2:
        raise DataError(f"standings must have shoot-outs of two recipes or more. Got {len(shootouts)}. Give more runs.")
    for name, each in (
        ("the same number of seeds of each recipe", [max(row.num_seeds for row in found.rows) for found in shootouts]),
        ("one arm that others are held against", [found.against for found in shootouts]),
    ):
        if len(set(each)) > 1:
            raise DataError(
                f"standings must have {name}. Got {', '.join(map(str, each))}. Leave runs out, or say which."
            )
    kinds = dict.fromkeys(row.weights for found in shootouts for row in found.rows)
    found = [standing for weights in kinds for standing in _of_weights(shootouts, weights)]
    if not found:
        raise DataError("standings must have an arm that all recipes have. Got none. Name arms alike in them.")
    return found


def _of_weights(shootouts: Sequence[Shootout], weights: str) -> list[Standing]:
    rows = [
        {row.arm: row for row in found.rows if row.weights == weights and row.pair == pair}
        for found in shootouts
        for pair in found.pairs
    ]
    shared = [arm for arm in rows[0] if all(arm in each for each in rows)]
    if not shared:
        return []
    seeds = rows[0][shared[0]].num_seeds
    values = np.array([[each[arm].values for each in rows] for arm in shared])
    ranks = _ranks(values)
    against = shootouts[0].against
    found = [
        Standing(
            arm=arm,
            weights=weights,
            against=against,
            tasks=len(rows),
            num_seeds=seeds,
            share=_share([each[arm] for each in rows]),
            better=_better(dict(zip(shared, values, strict=True)), arm, against),
            rank=ranks[number],
        )
        for number, arm in enumerate(shared)
    ]
    order = _mean_places(values)
    return [found[number] for number in np.argsort(order, kind="stable").tolist()]


def _share(rows: Sequence[ShootoutRow]) -> Figure:
    missing = [row.recipe for row in rows if not row.shares]
    if missing:
        return Unresolved(f"what is to be had is not known on {', '.join(missing)}")
    shares = np.array([row.shares for row in rows])
    return interquartile_mean_interval(shares, rng=np.random.default_rng(0), unit="fraction", resamples=RESAMPLES)


def _better(values: Mapping[str, Float[np.ndarray, "task seed"]], arm: str, against: str) -> Figure:
    if arm == against:
        return OPPONENT
    if against not in values:
        return NOT_SEEN
    wins, runs = int((values[arm] > values[against]).sum()), values[arm].size
    return rate_interval(wins, runs, kind="clopper_pearson")


def _ranks(values: Float[np.ndarray, "arm task seed"]) -> list[Figure]:
    """Each task's runs speak for it alone."""
    arms, tasks, seeds = values.shape
    if seeds < 2:
        return [ONE_SEED] * arms
    rng = np.random.default_rng(0)
    drawn = np.stack([student_draws(rng, values[:, task].T, DRAWS) for task in range(tasks)], axis=1)
    return places_of(values.mean(axis=-1).T, drawn, seeds, f"seeds of {tasks} tasks", THIS_RECIPE)


def _mean_places(values: Float[np.ndarray, "arm task seed"]) -> Float[np.ndarray, "arm"]:
    return np.asarray(places(values.mean(axis=-1).T).mean(axis=0))
