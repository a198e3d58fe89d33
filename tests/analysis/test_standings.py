"""Standings: arms over several recipes, by hand from the values of their rows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.shootout import Shootout, shootout, standings
from interlace.encoding import dumps
from interlace.errors import DataError
from interlace.estimate import Estimate, Unresolved
from interlace.statistics import interquartile_mean
from tests.analysis.test_shootout_rows import arm, problem_of, start
from tests.analysis.worlds import make_record

TIMES = {"rl": 3.0, "near": 1.0, "far": 8.0}


def task(recipe: str, first_seed: int, names: tuple[str, ...] = tuple(TIMES), seeds: int = 3) -> Shootout:
    records = []
    for seed in range(first_seed, first_seed + seeds):
        problem = problem_of(seed, expert_reward=0.6 if first_seed else 0.8)
        mu = {"rl": {"method": {"name": "joint", "mu": 0.0}}}
        arms = [arm(name, problem, TIMES[name], options=mu.get(name)) for name in names]
        records.append(replace(make_record(problem, start(problem), *arms, seed=seed), recipe=recipe))
    return shootout(records, exchange_rate=0.3)


def test_standings_are_those_of_the_rows() -> None:
    found = [task("one", 0), task("two", 50)]
    table = {standing.arm: standing for standing in standings(found)}
    values = {name: np.array([next(r for r in each.rows if r.arm == name).values for each in found]) for name in TIMES}
    shares = np.array([next(r for r in each.rows if r.arm == "near").shares for each in found])
    assert isinstance(table["near"].share, Estimate)
    assert table["near"].share.value == pytest.approx(interquartile_mean(shares))
    better = table["near"].better
    assert isinstance(better, Estimate) and better.value == (values["near"] > values["rl"]).mean() and better.n == 6
    means = {name: value.mean(axis=1) for name, value in values.items()}
    for name in TIMES:
        above = [sum(means[other][t] > means[name][t] for other in TIMES) for t in range(2)]
        assert table[name].rank.value == pytest.approx(1 + np.mean(above))
    order = [standing.rank.value for standing in standings(found)]
    assert order == sorted(order) and json.loads(dumps(table["far"].to_json()))["tasks"] == 2


def test_only_arms_that_all_recipes_have_stand() -> None:
    found = [task("one", 0), task("two", 50, ("rl", "near"))]
    assert {standing.arm for standing in standings(found)} == {"rl", "near"}


def test_one_seed_has_no_place() -> None:
    table = standings([task("one", 0, seeds=1), task("two", 50, seeds=1)])
    assert all(isinstance(each.rank, Unresolved) and isinstance(each.share, Unresolved) for each in table)


def test_what_cannot_stand_is_refused() -> None:
    with pytest.raises(DataError, match="two recipes or more. Got 1"):
        standings([task("one", 0)])
    other = task("two", 50, ("rl", "near"))
    renamed = replace(other, rows=tuple(replace(row, arm=f"{row.arm}-2") for row in other.rows))
    with pytest.raises(DataError, match="an arm that all recipes have"):
        standings([task("one", 0), renamed])
    with pytest.raises(DataError, match="the same number of seeds of each recipe. Got 3, 2"):
        standings([task("one", 0), task("two", 50, seeds=2)])
