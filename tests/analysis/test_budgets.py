"""Budgets in a shoot-out: what was kept and left, from policies whose rises are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from interlace.analysis.halves import CHOOSING
from interlace.analysis.kept_rises import judged_rises, rise_between
from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.budgets import budgets_kept, looks_within, over_best_of_others, share_over_runs
from interlace.analysis.trajectory import read_trajectory
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import AVERAGED, RAW
from interlace.theory.distributional.tilt import tilted_policy
from tests.analysis.test_shootout_rows import TOKENS, problem_of, start
from tests.analysis.worlds import TASK, MemoryRecord, Stage, make_record

JUDGES = slice(1, None, 2)
PAIR = Pair(TASK, TASK)
TIMES = {"rl": 3.0, "guarded": 1.5, "theirs": 1.0, "ours": 2.0}
METHODS: dict[str, Any] = {
    "rl": {"name": "joint", "mu": 0.0},
    "guarded": {"name": "guarded", "budget": 0.02, "weights": None},
    "theirs": {"name": "hpt"},
    "ours": {"name": "cycle"},
}
ARMS = [Arm((name,)) for name in TIMES]


def world(seed: int) -> MemoryRecord:
    """Every arm is a tilt; averages go half as far."""
    problem = problem_of(seed)
    stages = [
        Stage(
            {0: problem.reference, 10: tilted_policy(problem, time)},
            kind="hybrid",
            name=name,
            averaged={10: tilted_policy(problem, time / 2)},
            options={"start_from": "sft", "method": METHODS[name]},
            spent=TOKENS,
        )
        for name, time in TIMES.items()
    ]
    return make_record(problem, start(problem), *stages, seed=seed)


def gain(seed: int, time: float, rate: float) -> float:
    """R - rate L over the start's, of the prompts that judge."""
    problem = problem_of(seed)
    policy = tilted_policy(problem, time)
    reward = ((policy - problem.reference) * problem.reward).sum(1)[JUDGES].mean()
    loss = -(problem.expert * np.log(policy / problem.reference)).sum(1)[JUDGES].mean()
    return float(reward - rate * loss)


def test_what_a_budget_left_is_read_on_the_prompts_that_did_not_steer() -> None:
    records = [world(seed) for seed in range(3)]
    found = {row.weights: row for row in budgets_kept(records, ARMS, PAIR, ARMS[0], {"hpt"}, exchange_rate=0.5)}
    assert set(found) == {RAW, AVERAGED} and {row.guarded for row in found.values()} == {AVERAGED}
    for weights, far in ((RAW, 1.0), (AVERAGED, 0.5)):
        row = found[weights]
        shares = [gain(seed, far * 1.5, 0.0) / gain(seed, far * 3.0, 0.0) for seed in range(3)]
        assert isinstance(row.gain_kept, Estimate) and row.gain_kept.value == pytest.approx(np.mean(shares))
        for figure, other in ((row.over_rl, "rl"), (row.over_published, "theirs")):
            wins = sum(gain(s, far * 1.5, 0.5) > gain(s, far * TIMES[other], 0.5) for s in range(3))
            assert isinstance(figure, Estimate) and figure.value == pytest.approx(wins / 3)
        assert row.rivals == ("theirs",) * 3 and row.budget == 0.02
        assert row.looks.within + row.looks.probably_within + row.looks.probably_above + row.looks.above == 3


def test_rises_are_those_of_every_second_prompt() -> None:
    record, problem = world(0), problem_of(0)
    stage = next(each for each in record.stages if each.name == "rl")
    trajectory = read_trajectory(record, stage.stage, TASK, RAW)
    (rise,) = judged_rises(trajectory)
    steering = rise_between(trajectory.start, trajectory.end, CHOOSING)
    losses = -(problem.expert * np.log(tilted_policy(problem, 3.0) / problem.reference)).sum(1)
    tokens = (problem.expert * (np.arange(problem.expert.shape[1]) + 2)).sum(1)
    assert isinstance(rise, Estimate)
    assert rise.value == pytest.approx(losses[JUDGES].sum() / tokens[JUDGES].sum())
    assert isinstance(steering, Estimate) and steering.value == pytest.approx(losses[::2].sum() / tokens[::2].sum())


def rise(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 20, "t", "nats/token")


def test_looks_are_told_apart_by_whether_the_budget_is_resolved() -> None:
    runs = [
        [rise(0.01, 0.005), rise(0.019, 0.005), rise(0.021, 0.005), rise(0.05, 0.005)],
        [rise(0.01, 0.005), Unresolved("too few"), rise(0.012, 0.003)],
    ]
    looks = looks_within(runs, 0.02)
    counts = (looks.within, looks.probably_within, looks.probably_above, looks.above, looks.unread)
    assert counts == (3, 1, 1, 1, 1)
    assert isinstance(looks.share, Estimate) and looks.share.value == pytest.approx((0.5 + 1.0) / 2)
    assert isinstance(looks.ended, Estimate) and looks.ended.value == 0.5


def test_a_run_without_a_look_that_was_read_is_not_left_out() -> None:
    """One run was read to its end; of the others one lost its last look, one all of them."""
    whole, lost = [rise(0.01, 0.005)], Unresolved("lost")
    late = looks_within([whole, [rise(0.03, 0.005), lost]], 0.02)
    assert isinstance(late.share, Estimate) and late.share.value == 0.5 and late.unread == 1
    none = Unresolved("in a run no such look was read: lost")
    assert late.ended == none and looks_within([whole, [lost, lost]], 0.02).share == none
    assert looks_within([[]], 0.02).ended == Unresolved("in a run no such look was read: none was made")


def test_one_run_says_what_it_lacks() -> None:
    (row, _) = budgets_kept([world(0)], ARMS, PAIR, ARMS[0], {"hpt"})
    assert row.gain_kept == Unresolved("one run alone has no interval over runs: run more seeds")
    assert row.over_published == Unresolved("one run has no others to choose a rival on: run more seeds")


def test_the_rival_of_a_run_is_chosen_on_the_others() -> None:
    """`lucky` is best by its one good run: there the others choose `steady`."""
    rivals = {"steady": [1.0, 1.0, 1.0], "lucky": [9.0, 0.0, 0.0]}
    figure, chosen = over_best_of_others([2.0, 2.0, 2.0], rivals)
    assert chosen == ("steady", "lucky", "lucky")
    assert isinstance(figure, Estimate) and figure.value == 1.0 and figure.lower == pytest.approx(0.025 ** (1 / 3))
    assert isinstance(over_best_of_others([1.0], {"a": [0.0]})[0], Unresolved)
    assert isinstance(over_best_of_others([1.0, 2.0], {})[0], Unresolved)


@pytest.mark.parametrize("mean", [0.3, 0.8, 0.97])
@pytest.mark.parametrize("precision", [0.2, 2.0, 20.0])
def test_the_interval_of_shares_covers_at_its_level_or_more(mean: float, precision: float) -> None:
    rng = np.random.default_rng(0)
    for runs in (3, 5):
        shares = rng.beta(precision * mean, precision * (1 - mean), size=(150, runs))
        held = [figure.covers(mean) for row in shares if isinstance(figure := share_over_runs(row.tolist()), Estimate)]
        assert len(held) == 150 and np.mean(held) >= 0.95
