"""A whole run: shapes on the wire, seeds, and records with holes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from interlace.analysis import across_seeds, figures_across_seeds, result_json, seed_groups, summarise
from interlace.encoding import dumps
from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run


def run_of(seed: int):
    problem = binary_problem(np.random.default_rng(seed), prompts=80)
    run = tilted_run(problem, np.linspace(0.0, 4.0, 5))
    line = {0.0: run[0], 0.5: run[20], 1.0: run[40]}
    sft = {0: run[40], 10: 0.5 * run[40] + 0.5 * problem.expert}
    stages = (Stage(run, averaged={40: run[30]}, line=line), Stage(sft, kind="sft"))
    return make_record(problem, *stages, seed=seed)


@pytest.fixture(scope="module")
def summaries():
    return [summarise(run_of(seed)) for seed in range(3)]


def test_the_wire_has_the_documented_names(summaries):
    wire = json.loads(dumps(result_json(summaries)))
    assert set(wire) >= {"schema_version", "runs", "across_seeds"}
    run = wire["runs"][0]
    assert set(run) == {"run", "recipe", "seed", "stages", "advice", "excluded"}
    assert set(run["stages"][0]) >= {
        "name",
        "kind",
        "task",
        "steps_planned",
        "steps_done",
        "objectives",
        "parity_step",
        "least_sft_loss_step",
        "reward_at_least_sft_loss",
        "expert_reward",
        "split",
        "verdicts",
        "self_checks",
        "flags",
        "ledger",
    }
    assert set(run["stages"][0]["objectives"][0]) == {"task", "objective", "weights", "before", "after", "change"}
    assert set(run["stages"][0]["split"]) == {RAW, AVERAGED}
    names = {"law", "verdict", "prediction", "measurement", "conditions", "sentence"}
    assert set(run["stages"][0]["verdicts"][0]) >= names
    row = {"recipe", "stage", "task", "objective", "weights", "before", "after", "change"}
    assert set(wire["across_seeds"][0]) == row


def test_objectives_come_raw_and_averaged(summaries):
    stage = summaries[0].stages["rl"]
    assert {(c.objective, c.weights) for c in stage.objectives} == {
        (name, weights)
        for name in ("sft_loss", "sft_loss_per_token", "sft_loss_right", "sft_loss_wrong", "reward")
        for weights in (RAW, AVERAGED)
    }
    assert {c.weights for c in summaries[0].stages["sft"].objectives} == {RAW}


def test_curves_follow_steps_and_the_line_its_positions(summaries):
    stage = summaries[0].stages["rl"]
    raw, averaged, line = (stage.curve(weights) for weights in (RAW, AVERAGED, LINE))
    assert raw.steps == (0, 10, 20, 30, 40) and raw.abscissa == (0.0, 10.0, 20.0, 30.0, 40.0)
    assert averaged.steps == (0, 40)
    assert averaged.sft_loss[0] == raw.sft_loss[0]
    assert line.positions == (0.0, 0.5, 1.0) and line.abscissa == line.positions
    assert line.reward[1].value == pytest.approx(raw.reward[2].value)
    assert len(raw.kl) == len(raw) == 5


def test_the_same_record_gives_the_same_summary():
    assert dumps(summarise(run_of(0))) == dumps(summarise(run_of(0)))


def test_stages_are_found_by_name_and_place(summaries):
    stages = summaries[0].stages
    assert stages["sft"] is stages[1] and [stage.name for stage in stages] == ["rl", "sft"]
    with pytest.raises(KeyError, match=r"stage must be one of rl, sft\. Got 'rk'\. Did you mean 'rl'"):
        stages["rk"]


def test_an_objective_that_was_not_measured_is_unresolved(summaries):
    change = summaries[0].stages["sft"].objective("sft_loss", AVERAGED)
    assert change.change == Unresolved("sft_loss of task sums was not measured for averaged weights")


def test_seeds_speak_of_the_recipe(summaries):
    found = {(c.stage, c.objective, c.weights): c for c in across_seeds(summaries)}
    change = found["rl", "reward", RAW].change
    values = [summary.stages["rl"].reward.change.value for summary in summaries]
    assert change.value == pytest.approx(np.mean(values))
    assert (change.n, change.scope, change.unit) == (3, THIS_RECIPE, "reward units")
    figures = {(f.stage, f.weights, f.name): f.figure for f in figures_across_seeds(summaries)}
    assert figures["rl", RAW, "wrong"].sign == 1 and figures["rl", RAW, "right"].sign == -1
    assert ("sft", RAW, "tilt") not in figures


def test_a_seed_without_the_figure_is_not_left_out(summaries):
    record = run_of(2)
    holed = dataclasses.replace(record, kept={p: s for p, s in record.kept.items() if p.stage != "02-sft"})
    together = [*summaries[:2], summarise(holed)]
    found = {(c.stage, c.objective): c for c in across_seeds(together)}
    assert "1 of 3 seeds have no figure" in found["sft", "reward"].change.reason
    figures = {(f.stage, f.weights, f.name): f.figure for f in figures_across_seeds(together)}
    assert "1 of 3 seeds have no figure" in figures["sft", RAW, "right"].reason


def test_one_run_and_other_recipes_are_not_seeds(summaries):
    assert across_seeds(summaries[:1]) == []
    assert across_seeds([summaries[0], dataclasses.replace(summaries[1], recipe="other")]) == []
    assert across_seeds([summaries[0], summaries[0]]) == []


def test_each_recipe_has_its_own_averages(summaries):
    controls = [dataclasses.replace(summary, recipe="controls") for summary in summaries[:2]]
    alone = dataclasses.replace(summaries[0], recipe="alone")
    mixed = [summaries[0], controls[0], summaries[1], alone, controls[1], summaries[2]]
    assert [[run.recipe for run in group] for group in seed_groups(mixed)] == [["made-up"] * 3, ["controls"] * 2]
    assert across_seeds(mixed) == [*across_seeds(summaries), *across_seeds(controls)]
    assert [row["recipe"] for row in result_json(mixed)["across_seeds"]][:1] == ["made-up"]


def test_points_without_scores_are_left_out():
    record = run_of(0)
    middle = {p: s for p, s in record.kept.items() if p.step != 20}
    whole, holed = summarise(record).stages["rl"], summarise(dataclasses.replace(record, kept=middle)).stages["rl"]
    assert holed.sft_loss == whole.sft_loss


def test_a_stage_whose_start_was_not_measured_has_no_change():
    record = run_of(0)
    kept = {p: s for p, s in record.kept.items() if p.step != 0}
    stage = summarise(dataclasses.replace(record, kept=kept)).stages["rl"]
    assert stage.sft_loss.change == Unresolved("SFT loss was not measured at the stage's start")
    assert stage.split[RAW].right == stage.sft_loss.change


def test_a_run_without_stages_is_empty():
    summary = summarise(dataclasses.replace(run_of(0), stages=()))
    assert (len(summary.stages), summary.verdicts, summary.advice) == (0, (), ())
