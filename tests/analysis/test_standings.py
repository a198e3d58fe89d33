"""Standings: arms over several recipes, by hand from the values of their rows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import interlace
from interlace import readback
from interlace.analysis.shootout import Shootout, shootout, standings
from interlace.encoding import dumps
from interlace.errors import DataError
from interlace.estimate import Estimate, Unresolved
from interlace.report.shootout import compared, standings_tables
from interlace.statistics import interquartile_mean
from tests.analysis.test_shootout_rows import TOKENS, arm, cross, problem_of, start
from tests.analysis.worlds import MemoryRecord, make_record

TIMES = {"rl": 3.0, "near": 1.0, "far": 8.0}


RL_ALONE = {10: dict(TOKENS[10]) | {"imitation_share": 0.0, "expert_examples": 0.0}}


def runs(recipe: str, seeds: range, names: tuple[str, ...] = tuple(TIMES)) -> list[MemoryRecord]:
    """Runs of a recipe whose expert is its own."""
    records = []
    for seed in seeds:
        problem = problem_of(seed, expert_reward=0.6 if recipe == "two" else 0.8)
        arms = [arm(name, problem, TIMES[name]) for name in names]
        arms = [replace(each, spent=RL_ALONE) if each.name == "rl" else each for each in arms]
        records.append(replace(make_record(problem, start(problem), *arms, seed=seed), recipe=recipe))
    return records


def task(recipe: str, names: tuple[str, ...] = tuple(TIMES), seeds: range = range(3)) -> Shootout:
    return shootout(runs(recipe, seeds, names), exchange_rate=0.3)


def test_standings_are_those_of_the_rows() -> None:
    found = [task("one"), task("two")]
    table = {standing.arm: standing for standing in standings(found)}
    values = {name: np.array([next(r for r in each.rows if r.arm == name).values for each in found]) for name in TIMES}
    shares = np.array([next(r for r in each.rows if r.arm == "near").gain_shares for each in found])
    assert isinstance(table["near"].gain_share, Estimate)
    assert table["near"].gain_share.value == pytest.approx(interquartile_mean(shares))
    better = table["near"].better
    assert isinstance(better, Estimate) and better.value == (values["near"] > values["rl"]).mean() and better.n == 6
    means = {name: value.mean(axis=1) for name, value in values.items()}
    for name in TIMES:
        above = [sum(means[other][t] > means[name][t] for other in TIMES) for t in range(2)]
        assert table[name].rank.value == pytest.approx(1 + np.mean(above))
    order = [standing.rank.value for standing in standings(found)]
    assert order == sorted(order) and json.loads(dumps(table["far"].to_json()))["recipes"] == 2


def two_pairs(seeds: int) -> Shootout:
    """Runs in which `a` imitates another task and `b` the one that is reinforced: both are held against each other on
    both pairs."""
    records = []
    for seed in range(seeds):
        record = replace(cross(seed)[0], seed=seed, recipe="pairs")
        stages = [
            replace(stage, options={name: told for name, told in stage.options.items() if name != "imitate"})
            if stage.name == "b"
            else stage
            for stage in record.stages
        ]
        records.append(replace(record, stages=tuple(stages)))
    return shootout(records, against="b")


def test_a_run_that_is_compared_on_two_pairs_counts_once() -> None:
    plain = shootout(runs("plain", range(3), ("near", "far")), against="far")
    named = {"near": "a", "far": "b"}
    plain = replace(plain, against="b", rows=tuple(replace(row, arm=named[row.arm]) for row in plain.rows))
    found = [two_pairs(3), plain]
    assert len(found[0].pairs) == 2
    table = {each.arm: each for each in standings(found)}
    assert {(each.recipes, each.pairs, each.num_seeds) for each in table.values()} == {(2, 3, 3)}
    values, shares = {}, []
    for name in "ab":
        rows = [[row for row in each.rows if row.arm == name] for each in found]
        values[name] = np.array([np.mean([row.values for row in pairs], axis=0) for pairs in rows])
        if name == "a":
            shares = [np.mean([row.gain_shares for row in pairs], axis=0) for pairs in rows]
            for run, value in enumerate(values["a"][0]):
                means = [part.mean() for row in rows[0] for part in row.prompts[run].values()]
                assert sum(means) / 2 == pytest.approx(value)
    better = table["a"].better
    assert isinstance(better, Estimate) and (better.n, better.scope) == (6, "this recipe")
    wins = int((values["a"] > values["b"]).sum())
    exact = stats.binomtest(wins, 6).proportion_ci(method="exact")
    assert (better.lower, better.upper) == pytest.approx((exact.low, exact.high))
    assert isinstance(table["a"].gain_share, Estimate)
    assert table["a"].gain_share.value == pytest.approx(interquartile_mean(np.array(shares)))
    above = values["b"].mean(axis=1) > values["a"].mean(axis=1)
    assert table["a"].rank.value == pytest.approx(1 + above.mean())
    (shown,) = standings_tables(compared(found))
    assert shown.name == "Standings over 2 recipes (3 pairs of tasks) at equal FLOPs, 3 seeds of each"


def test_only_arms_that_all_recipes_have_stand() -> None:
    found = [task("one"), task("two", ("rl", "near"))]
    assert {standing.arm for standing in standings(found)} == {"rl", "near"}


def test_one_seed_has_no_place() -> None:
    table = standings([task("one", seeds=range(1)), task("two", seeds=range(1))])
    assert all(isinstance(each.rank, Unresolved) and isinstance(each.gain_share, Unresolved) for each in table)


def test_what_cannot_stand_is_refused() -> None:
    with pytest.raises(DataError, match="two recipes or more. Got 1"):
        standings([task("one")])
    other = task("two", ("rl", "near"))
    renamed = replace(other, rows=tuple(replace(row, arm=f"{row.arm}-2") for row in other.rows))
    with pytest.raises(DataError, match="an arm that all recipes have"):
        standings([task("one"), renamed])
    with pytest.raises(DataError, match="a seed that all recipes have. Got 0, 1; 2"):
        standings([task("one", seeds=range(2)), task("two", seeds=range(2, 3))])
    against = shootout(runs("two", range(3)), against="near")
    with pytest.raises(DataError, match="one arm that others are held against. Got rl, near"):
        standings([task("one"), against])


def test_recipes_of_unequal_seeds_stand_by_those_that_all_have() -> None:
    found = standings([task("one", seeds=range(5)), task("two", seeds=range(1, 4))])
    assert found == standings([task("one", seeds=range(1, 4)), task("two", seeds=range(1, 4))])
    assert {each.num_seeds for each in found} == {3}


def test_places_of_several_tasks_hold_together() -> None:
    """By hand: paired t of all pairs of arms on both tasks, then the mean of each task's interval."""
    found = [task("one", seeds=range(5)), task("two", seeds=range(5))]
    table = {each.arm: each.rank for each in standings(found)}
    values = {name: [next(r for r in each.rows if r.arm == name).values for each in found] for name in TIMES}
    level = 0.05 / 2 / 6
    for name in TIMES:
        better = worse = 0
        for other in set(TIMES) - {name}:
            for one, two in zip(values[name], values[other], strict=True):
                better += stats.ttest_rel(two, one, alternative="greater").pvalue < level
                worse += stats.ttest_rel(one, two, alternative="greater").pvalue < level
        assert (table[name].lower, table[name].upper) == (1 + better / 2, 3 - worse / 2)


def test_the_examples_of_the_readme_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """On runs of the recipes that they name: of one five seeds, of the other three."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = [fence for fence in re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
               if "interlace.standings(" in fence]  # fmt: skip
    kept = {f"runs/{name}/seed-{record.seed}": record
            for name, recipe, seeds in (("shootout-addition", "one", 5), ("shootout-styles", "two", 3))
            for record in runs(recipe, range(seeds))}  # fmt: skip
    monkeypatch.setattr(readback, "run_folders_in", lambda run: [Path(each) for each in kept if each.startswith(run)])
    monkeypatch.setattr(readback, "read_run", lambda folder: kept[str(folder.relative_to(Path.cwd()))])
    names: dict[str, object] = {"interlace": interlace}
    exec(compile(code, "README.md", "exec"), names)
    assert isinstance(names["found"], Shootout) and {row.num_seeds for row in names["found"].rows} == {5}
