"""The shoot-out: arms at the compute that all reached, and how far each is from the front of all policies (D9)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.shootout import compute_of, shootout
from interlace.encoding import dumps
from interlace.errors import DataError, RecipeError
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import AVERAGED, RAW
from interlace.theory.finite import expected_reward, sft_loss
from interlace.theory.frontier import joint_optimum, least_sft_loss
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run

HYBRID = {"start_from": "sft"}
DEAR = [0.0, 4.0, 8.0]
"""RL times: far enough that the front rises there."""


JUDGES = slice(1, None, 2)


def spent(*steps, tokens, imitated=0.5):
    """Counters of a hybrid stage whose every update imitates so much."""
    return {step: {"tokens": step * tokens, "tokens_sampled": step * tokens / 4, "imitation_share": step * imitated,
                   "expert_examples": step * imitated} for step in steps}  # fmt: skip


def judged(problem):
    """The problem of the prompts that judge."""
    half = problem.prompts[JUDGES]
    return replace(problem, prompts=half / half.sum(), reference=problem.reference[JUDGES],
                   expert=problem.expert[JUDGES], reward=problem.reward[JUDGES])  # fmt: skip


def record_of(seed, *, known=True):
    """From one start: `dear` tilts far at twice the tokens, `cheap` at half, `best` ends on the front."""
    problem = binary_problem(np.random.default_rng(seed), prompts=40, skill=0.3)
    dear, cheap = tilted_run(problem, DEAR), tilted_run(problem, [0.0, 0.5, 1.5])
    best = {0: problem.reference, 10: joint_optimum(problem, 0.5)}
    arms = (("dear", dear, 200.0), ("cheap", cheap, 100.0), ("best", best, 200.0))
    stages = [Stage({0: problem.reference, 10: problem.reference}, kind="sft")]
    for name, policies, tokens in arms:
        imitated = 0.0 if name == "cheap" else 0.5
        counted = spent(*(step for step in policies if step), tokens=tokens, imitated=imitated)
        options = HYBRID | {"method": {"name": "joint", "mu": imitated}}
        stages.append(Stage(policies, kind="hybrid", name=name, options=options, spent=counted, averaged=policies))
    return problem, make_record(problem, *stages, known=known, seed=seed)


def rows_of(found, weights=RAW):
    return {row.arm: row for row in found.rows if row.weights == weights}


def test_every_arm_is_seen_at_the_compute_that_all_reached() -> None:
    """dear took 4,000 tokens a side in 20 steps, cheap and best 2,000 in 20 and 10: dear counts at step 10."""
    _, record = record_of(0)
    found = shootout([record])
    assert {arm: row.step for arm, row in rows_of(found).items()} == {"dear": 10, "cheap": 20, "best": 10}
    assert {row.compute for row in found.rows} == {6 * 2000.0 + 2 * 500.0}
    assert (found.started_from, found.against, found.by) == ("sft", "cheap", "flops")


def test_compute_is_counted_as_the_ledger_does() -> None:
    _, record = record_of(0)
    stage = record.stages[1]
    assert compute_of(stage, 10, "tokens") == 2500.0 and compute_of(stage, 10, "flops") == 13_000.0
    assert compute_of(stage, 5, "flops") is None


def test_D9_an_arm_on_the_front_has_nothing_over_it_and_others_what_theory_says() -> None:
    """By the prompts that judge, whose front it is."""
    problem, record = record_of(0)
    rows = rows_of(shootout([record]))
    assert isinstance(rows["best"].excess, Estimate)
    assert rows["best"].excess.value == pytest.approx(0.0, abs=1e-6)
    policy, problem = tilted_run(problem, DEAR)[10][JUDGES], judged(problem)
    expected = sft_loss(problem, policy) - least_sft_loss(problem, expected_reward(problem, policy))
    assert rows["dear"].excess.value == pytest.approx(expected, abs=1e-9) and expected > 0


def test_the_excess_scatters_as_each_prompts_own_regret() -> None:
    """On the front it is 0 for any prompts; elsewhere its interval is that of D9's regret over lambda, by hand."""
    problem, record = record_of(0)
    rows = rows_of(shootout([record]))
    assert rows["best"].excess.upper - rows["best"].excess.lower < 1e-3
    policy, problem = tilted_run(problem, DEAR)[10][JUDGES], judged(problem)
    mean = expected_reward(problem, policy)
    slope = (least_sft_loss(problem, mean + 1e-3) - least_sft_loss(problem, mean - 1e-3)) / 2e-3
    assert slope > 0.1
    optimum = joint_optimum(problem, 1 / slope)
    regret = problem.expert * np.log(optimum / policy)
    parts = regret.sum(axis=1) - slope * (problem.reward * (policy - optimum)).sum(axis=1)
    half = 2.0930 * np.std(parts, ddof=1) / np.sqrt(20)
    assert rows["dear"].excess.upper - rows["dear"].excess.value == pytest.approx(half, rel=5e-3)


def test_rows_are_in_order_of_value_and_none_beats_an_arm_on_the_front() -> None:
    records = [record_of(seed)[1] for seed in range(3)]
    found = shootout(records, exchange_rate=0.5)
    rows = [row for row in found.rows if row.weights == AVERAGED]
    values = [row.value.value for row in rows]
    assert values == sorted(values, reverse=True) and rows[0].arm == "best" and rows[0].on_pareto
    assert all(row.num_seeds == 3 for row in rows)
    assert isinstance(rows_of(found)["cheap"].better, Unresolved)
    assert json.loads(dumps(found.to_json()))["rows"][0]["arm"] == "best"


def test_arms_are_those_that_every_run_has_finished() -> None:
    whole, partial = record_of(0)[1], record_of(1)[1]
    stages = [replace(stage, finished=stage.name != "cheap") for stage in partial.stages]
    found = shootout([whole, replace(partial, stages=tuple(stages))])
    assert rows_of(found).keys() == {"dear", "best"} and found.against == "dear"


def test_a_lead_is_paired_run_by_run() -> None:
    """By hand: the gain of each arm's policy less cheap's, of each run, then a Student t over runs."""
    worlds = [record_of(seed) for seed in range(3)]
    row = rows_of(shootout([record for _, record in worlds], exchange_rate=0.5))["dear"]
    leads = []
    for problem, _ in worlds:
        values = [
            expected_reward(judged(problem), policy[JUDGES]) - 0.5 * sft_loss(judged(problem), policy[JUDGES])
            for policy in (tilted_run(problem, DEAR)[10], tilted_run(problem, [0.0, 0.5, 1.5])[20])
        ]
        leads.append(values[0] - values[1])
    assert row.lead.value == pytest.approx(np.mean(leads), abs=1e-9)
    half = 4.302652729911275 * np.std(leads, ddof=1) / np.sqrt(3)
    assert row.lead.upper == pytest.approx(np.mean(leads) + half, abs=1e-9)


@pytest.mark.parametrize(("far", "places"), [(4.0, {1}), (40.0, {0})])
def test_a_lead_at_best_is_over_the_place_that_the_other_prompts_prefer(
    far: float, places: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: in each run dear's end, or its start where that has more by the prompts that do not judge."""
    monkeypatch.setitem(globals(), "DEAR", [0.0, far, 2 * far])
    worlds, exchange_rate = [record_of(seed) for seed in range(4)], 0.5
    found = shootout([record for _, record in worlds], against="dear", exchange_rate=exchange_rate)
    leads, chosen = [], []
    for problem, _ in worlds:
        policies = [problem.reference, tilted_run(problem, DEAR)[10]]
        by_prompt = [
            (policy * problem.reward).sum(1) + exchange_rate * (problem.expert * np.log(policy)).sum(1)
            for policy in (*policies, joint_optimum(problem, 0.5))
        ]
        chosen.append(int(np.argmax([values[::2].mean() for values in by_prompt[:2]])))
        leads.append(by_prompt[2][JUDGES].mean() - by_prompt[chosen[-1]][JUDGES].mean())
    assert rows_of(found)["best"].lead_at_best.value == pytest.approx(np.mean(leads), abs=1e-9)
    assert set(chosen) == places


def test_rl_alone_is_the_first_arm_that_never_imitated_in_any_run() -> None:
    """Whatever its method is called: `other` counts nothing, but saw the expert in one run."""
    worlds = [record_of(seed)[1] for seed in range(2)]
    never = {step: dict.fromkeys(("imitation_share", "expert_examples"), 0.0) for step in (10, 20)}
    for number, record in enumerate(worlds):
        stages = []
        for stage in record.stages:
            counted = {step: dict(each) | never[step] for step, each in stage.spent.items()}
            if stage.name == "dear" and number:
                counted[stage.end_step]["expert_examples"] = 3.0
            options = stage.options | {"method": {"name": "other"}}
            stages.append(replace(stage, spent=counted, options=options) if stage.kind == "hybrid" else stage)
        worlds[number] = replace(record, stages=tuple(stages))
    assert shootout(worlds[:1]).against == "dear"
    assert shootout(worlds).against == "cheap"


def test_an_unknown_expert_has_no_front() -> None:
    found = shootout([record_of(0, known=False)[1]])
    assert all(isinstance(row.excess, Unresolved) for row in found.rows) and not found.fronts


def test_what_cannot_be_compared_is_refused() -> None:
    _, record = record_of(0)
    with pytest.raises(RecipeError, match="against must be an arm, one of dear, cheap, best. Got 'cheep'"):
        shootout([record], against="cheep")
    with pytest.raises(DataError, match="exchange_rate"):
        shootout([record], exchange_rate=-1.0)
    problem = binary_problem(np.random.default_rng(0), prompts=40, skill=0.3)
    with pytest.raises(DataError, match="two finished stages or more"):
        shootout([make_record(problem, Stage({0: problem.reference, 10: problem.reference}, kind="sft"))])
