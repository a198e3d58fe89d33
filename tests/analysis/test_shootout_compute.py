"""At which compute the arms of a shoot-out are told: one for all kinds of weights, counted to the end of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from interlace.analysis.shootout import shootout
from interlace.cli.shootout import shootout_tables
from interlace.errors import DataError
from interlace.estimate import Unresolved
from interlace.measurement import AVERAGED, LINE
from interlace.report.formatting import compact
from interlace.report.shootout import compared
from interlace.store.stopped import Stopped
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import sft_loss
from tests.analysis.test_shootout import judged
from tests.analysis.test_shootout_rows import arm, problem_of, rows, start
from tests.analysis.worlds import MemoryRecord, Stage, make_record

EACH = 6.0 * 100.0 + 2.0 * 10.0
"""FLOPs a parameter of one step."""


def long(name: str, problem: Any, *steps: int, factor: float = 1.0, averaged: bool = False) -> Stage:
    """An arm that was looked at after these steps, each of `factor` times as many tokens as another one's."""
    policies = {step: tilted_policy(problem, 0.1 * step) for step in (0, *steps)}
    spent = {step: {"tokens": factor * 100.0 * step, "tokens_sampled": factor * 10.0 * step} for step in steps}
    return replace(arm(name, problem, 1.0), policies=policies, spent=spent, averaged=policies if averaged else {})


def rewound(record: MemoryRecord, name: str, step: int, to: int) -> MemoryRecord:
    """The record with an arm that a stop rule ended after `step` and took back."""
    stopped = Stopped("kl", step, "it had gone far", Unresolved("not told"), rewound_to=to)
    stages = tuple(replace(stage, stopped=stopped) if stage.name == name else stage for stage in record.stages)
    return replace(record, stages=stages)


def test_averaged_weights_stand_at_the_compute_of_the_arms_own() -> None:
    """a and b end after 10 steps; c alone goes on and keeps an average: it is told at their compute all the same."""
    problem = problem_of(0)
    c = replace(long("c", problem, 10, 20, averaged=True), line=dict.fromkeys((0.0, 1.0), problem.reference))
    record = make_record(problem, start(problem), long("a", problem, 10), long("b", problem, 10), c)
    found = shootout([record])
    assert {(row.arm, row.weights, row.step) for row in found.rows if row.weights != LINE} == {
        ("a", "raw", 10), ("b", "raw", 10), ("c", "raw", 10), ("c", "averaged", 10)
    }  # fmt: skip
    assert {row.compute for row in found.rows} == {10 * EACH} and not rows(found, LINE)
    assert rows(found, AVERAGED)["c"].compute_share == 1.0
    (table, *_) = compared([found])[0].tables
    assert f"({compact(10 * EACH)} to {compact(10 * EACH)})" in table.name


def test_an_arm_that_went_back_has_taken_what_it_took_until_then() -> None:
    """It went on to step 20 as the others did, and ends with the weights of step 10."""
    problem = problem_of(0)
    arms = [long(name, problem, 10, 20) for name in ("a", "b", "back")]
    record = rewound(make_record(problem, start(problem), *arms), "back", 20, 10)
    found = rows(shootout([record]))
    row = found["back"]
    assert (row.step, row.compute, row.is_short, row.is_early) == (10, 20 * EACH, False, False)
    policy = tilted_policy(problem, 1.0)[1::2]
    assert row.sft_loss.value == pytest.approx(sft_loss(judged(problem), policy), abs=1e-9)
    plain = rows(shootout([make_record(problem, start(problem), *arms)]))
    for name in ("a", "b"):
        assert found[name].to_json() | {"rank": 0, "behind": 0, "on_pareto": 0} == (
            plain[name].to_json() | {"rank": 0, "behind": 0, "on_pareto": 0}
        )


def test_its_end_counts_in_the_common_compute() -> None:
    """Of ends at 10, 20 and 20 steps the median is 20, though one of them went back to its tenth."""
    problem = problem_of(0)
    arms = [long("a", problem, 10), long("b", problem, 10, 20), long("back", problem, 10, 20)]
    found = rows(shootout([rewound(make_record(problem, start(problem), *arms), "back", 20, 10)]))
    assert {name: row.step for name, row in found.items()} == {"a": 10, "b": 20, "back": 10}
    assert {name for name, row in found.items() if row.is_short} == {"a"}


def test_one_that_went_back_later_is_told_before_that() -> None:
    """The others end after 20 steps; there it had not gone back from step 30 to step 10 yet."""
    problem = problem_of(0)
    arms = [long("a", problem, 10, 20), long("b", problem, 10, 20), long("back", problem, 10, 20, 30)]
    row = rows(shootout([rewound(make_record(problem, start(problem), *arms), "back", 30, 10)]))["back"]
    assert (row.step, row.compute) == (20, 20 * EACH)
    policy = tilted_policy(problem, 2.0)[1::2]
    assert row.sft_loss.value == pytest.approx(sft_loss(judged(problem), policy), abs=1e-9)


def test_one_that_went_back_to_its_start_gained_nothing_for_what_it_took() -> None:
    problem = problem_of(0)
    arms = [long(name, problem, 10, 20) for name in ("a", "b", "back")]
    found = shootout([rewound(make_record(problem, start(problem), *arms), "back", 20, 0)])
    row = rows(found)["back"]
    assert (row.step, row.compute, row.values) == (0, 20 * EACH, (0.0,)) and not found.missing


@pytest.mark.parametrize(("steps", "share"), [((10, 20), 0.53), ((20,), 0.0)])
def test_an_arm_that_is_told_by_a_far_earlier_look_is_marked(steps: tuple[int, ...], share: float) -> None:
    """`rare` takes 6 % more a step, so that its look after 20 lies beyond what the others took."""
    problem = problem_of(8)
    arms = [long(name, problem, 10, 20) for name in ("a", "b", "c")]
    found = shootout([make_record(problem, start(problem), *arms, long("rare", problem, *steps, factor=1.06))])
    row = rows(found)["rare"]
    assert row.is_early and not row.is_short and row.compute_share == pytest.approx(share)
    assert not any(each.is_early for name, each in rows(found).items() if name != "rare")
    said = f"looked at last at {share:.0%} of the common compute"
    assert (
        row.looked_early == said and row.to_json()["is_early"] and row.to_json()["compute_share"] == row.compute_share
    )
    (table, *_) = compared([found])[0].tables
    (cells,) = [cells for cells in table.rows if cells[0].text.startswith("rare")]
    assert "\u00a7" in cells[0].text and said in cells[0].interval and "\u00a7: it took as much" in table.remark
    (terminal,) = shootout_tables(found)
    assert any(said in str(cell) for cell in terminal.columns[0].cells)
    assert f"({compact(20 * EACH)} to {compact(20 * EACH)})" in table.name


def test_runs_whose_start_was_trained_otherwise_are_refused() -> None:
    records = []
    for seed, steps in ((0, 400), (1, 800)):
        problem = problem_of(seed)
        begin = replace(start(problem), options={"max_steps": steps, "learning_rate": 1e-3})
        stages = begin, arm("a", problem, 1.0), arm("b", problem, 2.0)
        records.append(make_record(problem, *stages, seed=seed))
    with pytest.raises(DataError, match="Seeds trained sft with other options \\(max_steps\\). Give those that agree"):
        shootout(records)
    assert all(len(rows(shootout([record]))) == 2 for record in records)


def test_figures_over_runs_that_share_their_prompts_hold_what_is_peculiar_to_these() -> None:
    """The same prompts in three runs that hardly differ: an interval over the runs alone would be far narrower."""
    problem, records = problem_of(0), []
    for seed in range(3):
        arms = [arm("a", problem, 2.0 + 0.01 * seed), arm("b", problem, 1.0)]
        made = make_record(problem, start(problem), *arms, seed=seed)
        records.append(replace(made, manifest={"data": {"sums": {"heldout": "the same"}}}))
    found = shootout(records, against="b")
    row = rows(found)["a"]
    other = [replace(each, manifest={"data": {"sums": {"heldout": str(each.seed)}}}) for each in records]
    apart = rows(shootout(other, against="b"))["a"]
    assert found.shared == ("sums",) and found.to_json()["shared"] == ["sums"] and not shootout(other).shared
    for name in ("sft_loss", "reward", "reward_change", "excess", "value", "lead", "pass_at_8"):
        one, two = getattr(row, name), getattr(apart, name)
        assert one.value == pytest.approx(two.value, abs=1e-9) and "seeds and prompts" in one.method
        assert one.scope == "this recipe" and "prompts" not in two.method
    values = np.stack([each["sums"] for each in row.prompts])
    between = values.mean(axis=0).std(ddof=1) / np.sqrt(20)
    assert row.value.upper - row.value.value == pytest.approx(2.09302 * between, rel=0.02)
    assert row.gain_share.scope == row.better.scope == "this recipe, on these prompts"
    assert apart.gain_share.scope == apart.better.scope == "this recipe" and "prompts" in row.rank.method
