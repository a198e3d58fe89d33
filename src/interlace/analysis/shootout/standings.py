"""Arms over several recipes: interquartile means with seeds drawn anew within each, probabilities, and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.comparison import Shootout
from interlace.analysis.shootout.leads import Values, resolved_above, scope_of
from interlace.analysis.shootout.ranks import comparisons_of, places, places_of, units_of
from interlace.analysis.shootout.row import NOT_SEEN, OPPONENT, ShootoutRow
from interlace.encoding import jsonable
from interlace.errors import DataError
from interlace.estimate import THIS_RECIPE, Estimate, Figure, Unresolved
from interlace.statistics import interquartile_mean_interval, rate_interval

RESAMPLES = 30_000
"""As many as the far quantiles of 3 seeds of 2 tasks need."""
ONE_SEED = Unresolved("one run a recipe has no place over runs: run more seeds")


@dataclass(frozen=True, slots=True)
class Standing:
    """One arm under one kind of weights over `recipes`, of each the `num_seeds` seeds that all of them have; `pairs` of
    tasks in all. A run of several pairs counts once, by the mean over them.

    `gain_share`: interquartile mean over all runs of the value over the greatest attainable by any policy (D9),
    fraction; `better`: the share of runs, of all recipes, in which its value is above that of `against` from the same
    start, with the exact interval; `rank`: its place by value among the arms that all recipes have, mean over recipes;
    the intervals of all places of one kind of weights hold together.
    """

    arm: str
    weights: str
    against: str
    recipes: int
    pairs: int
    num_seeds: int
    gain_share: Figure
    better: Figure
    rank: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


def standings(shootouts: Sequence[Shootout]) -> list[Standing]:
    """The arms that all of `shootouts` have, over the seeds that all of them have; best mean place first within each
    kind of weights. What is trained together is one run, whatever pairs of tasks it is compared on.

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
    recipes = [_Recipe.of(found, weights, seeds) for found in shootouts]
    arms = [arm for arm in recipes[0].rows if all(arm in recipe.rows for recipe in recipes)]
    if not arms:
        return []
    values = np.array([[recipe.values(arm) for recipe in recipes] for arm in arms])
    by_arm, against = dict(zip(arms, values, strict=True)), shootouts[0].against
    found = [
        Standing(
            arm=arm,
            weights=weights,
            against=against,
            recipes=len(recipes),
            pairs=sum(len(each.pairs) for each in shootouts),
            num_seeds=len(seeds),
            gain_share=_gain_share(recipes, arm),
            better=_better(by_arm, arm, against, _scope(recipes)),
            rank=rank,
        )
        for arm, rank in zip(arms, _ranks(recipes, arms, values), strict=True)
    ]
    return [found[number] for number in np.argsort(_mean_places(values), kind="stable").tolist()]


class _Recipe(NamedTuple):
    """Rows of one recipe under one kind of weights, of each arm that has all pairs of tasks one a pair; `runs`: the
    places of the seeds that count among theirs. A run counts once, by the mean over its pairs."""

    runs: list[int]
    rows: Mapping[str, list[ShootoutRow]]
    shared: frozenset[str]

    @classmethod
    def of(cls, found: Shootout, weights: str, seeds: Sequence[int]) -> _Recipe:
        """Those of a shoot-out."""
        rows: dict[str, list[ShootoutRow]] = {}
        for row in found.rows:
            if row.weights == weights:
                rows.setdefault(row.arm, []).append(row)
        whole = {arm: each for arm, each in rows.items() if len(each) == len(found.pairs)}
        return cls([found.seeds.index(seed) for seed in seeds], whole, frozenset(found.shared))

    def values(self, arm: str) -> Float[np.ndarray, "run"]:
        """Of each run, reward units."""
        return np.asarray(np.mean([row.values for row in self.rows[arm]], axis=0)[self.runs])

    def gain_shares(self, arm: str) -> Float[np.ndarray, "run"] | None:
        """Of each run, fraction; None where they are not known of a pair."""
        shares = [row.gain_shares for row in self.rows[arm]]
        return np.asarray(np.mean(shares, axis=0)[self.runs]) if all(shares) else None

    def prompts(self, arm: str) -> list[Values]:
        """Of each run what each prompt has of its value, all pairs together: they share the prompts of a task."""
        return [self._of_run([row.prompts[run] for row in self.rows[arm]]) for run in self.runs]

    def _of_run(self, pairs: Sequence[Values]) -> Values:
        tasks = dict.fromkeys(task for each in pairs for task in each)
        return {task: np.sum([each[task] for each in pairs if task in each], axis=0) / len(pairs) for task in tasks}

    @property
    def is_shared(self) -> bool:
        """Whether its runs have the same prompts of a task."""
        return any(not self.shared.isdisjoint(row.pair) for rows in self.rows.values() for row in rows)


def _scope(recipes: Sequence[_Recipe]) -> str:
    return scope_of(any(recipe.is_shared for recipe in recipes))


def _gain_share(recipes: Sequence[_Recipe], arm: str) -> Figure:
    shares = [recipe.gain_shares(arm) for recipe in recipes]
    known = [each for each in shares if each is not None]
    if len(known) < len(shares):
        missing = [recipe.rows[arm][0].recipe for recipe, each in zip(recipes, shares, strict=True) if each is None]
        return Unresolved(f"the attainable gain is not known on {', '.join(missing)}")
    rng = np.random.default_rng(0)
    found = interquartile_mean_interval(np.stack(known), rng=rng, unit="fraction", resamples=RESAMPLES)
    return replace(found, scope=_scope(recipes)) if isinstance(found, Estimate) else found


def _better(values: Mapping[str, Float[np.ndarray, "recipe run"]], arm: str, against: str, scope: str) -> Figure:
    if arm == against:
        return OPPONENT
    if against not in values:
        return NOT_SEEN
    wins, runs = int((values[arm] > values[against]).sum()), values[arm].size
    found = rate_interval(wins, runs, kind="clopper_pearson")
    return replace(found, scope=scope) if isinstance(found, Estimate) else found


def _ranks(
    recipes: Sequence[_Recipe], arms: Sequence[str], values: Float[np.ndarray, "arm recipe run"]
) -> list[Figure]:
    """Each recipe's runs speak for it alone; the leads of all recipes hold together."""
    runs = values.shape[-1]
    if runs < 2:
        return [ONE_SEED] * len(arms)
    comparisons = len(recipes) * comparisons_of(len(arms))
    above = [resolved_above([each.prompts(arm) for arm in arms], each.shared, comparisons) for each in recipes]
    units = f"{units_of(any(each.is_shared for each in recipes))} of {len(recipes)} recipes"
    return places_of(values.mean(axis=-1).T, np.stack(above), runs, units, THIS_RECIPE)


def _mean_places(values: Float[np.ndarray, "arm recipe run"]) -> Float[np.ndarray, "arm"]:
    """What diverged on a recipe comes after all that did on none."""
    means = values.mean(axis=-1)
    return np.asarray(places(means.T).mean(axis=0) + len(means) * ~np.isfinite(means).all(axis=1))
