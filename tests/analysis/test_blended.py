"""A stage that ended with a blend is told by the blend's weights; what its training came to is told beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis import across_seeds, coupling_table, summarise
from interlace.analysis.exclusion import exclusion
from interlace.cli.tables import run_table
from interlace.measurement import AVERAGED, BLENDED, RAW, Point
from interlace.theory.finite import expected_reward, sft_loss
from tests.analysis.worlds import MemoryRecord, Stage, binary_problem, make_record, tilted_run

PLACE = 0.25


def blended_record(seed: int = 0, kind: str = "rl") -> tuple[object, MemoryRecord, dict[str, np.ndarray]]:
    """RL far along its path, then back to a quarter of the way in policy space."""
    problem = binary_problem(np.random.default_rng(seed), prompts=80)
    run = tilted_run(problem, [0.0, 2.0, 6.0])
    start, end = run[0], run[20]
    line = {place: (1 - place) * start + place * end for place in (0.0, PLACE, 1.0)}
    record = make_record(problem, Stage(run, kind=kind, averaged=run, line=line), seed=seed)
    (stage,) = record.stages
    record = replace(record, stages=(replace(stage, blend=PLACE),))
    return problem, record, {"start": start, "end": end, "blend": line[PLACE]}


def test_what_a_stage_stands_at_is_what_its_blend_stands_at() -> None:
    problem, record, policies = blended_record()
    stage = summarise(record).stages["rl"]
    rewards, losses = (
        {name: float(of(problem, policy)) for name, policy in policies.items()} for of in (expected_reward, sft_loss)
    )
    assert stage.reward.before.value == pytest.approx(rewards["start"])
    assert stage.reward.after.value == pytest.approx(rewards["blend"])
    assert stage.sft_loss.change.value == pytest.approx(losses["blend"] - losses["start"])
    assert stage.objective("reward", RAW).after.value == pytest.approx(rewards["end"])
    parts = stage.split[BLENDED]
    assert parts.right.value + parts.wrong.value == pytest.approx(stage.sft_loss.change.value)
    assert stage.split[RAW].right.value + stage.split[RAW].wrong.value == pytest.approx(losses["end"] - losses["start"])
    assert {verdict.weights for verdict in stage.verdicts} <= {RAW, AVERAGED}, "laws speak of what was trained"
    assert stage.landmarks.keys() == {RAW, AVERAGED}
    assert record.stages[0].ended_at("sums") == Point("01-rl", 20, "sums", "line", PLACE)


def test_it_says_that_it_is_a_blend_and_what_training_had_come_to() -> None:
    _, record, _ = blended_record()
    summary = summarise(record)
    stage = summary.stages["rl"]
    lead = f"RL raised reward from {stage.reward.before.value:.2f} to {stage.reward.after.value:.2f}"
    assert stage.sentence.startswith(lead)
    came = f"training itself had come to reward {stage.objective('reward', RAW).after.value:.2f}"
    assert "It ended with a blend, the weights of 0.25 of the way from its start to its end; " + came in stage.remark
    cells = [next(iter(column.cells)) for column in run_table(summary).columns]
    assert cells[0] == "rl\nblend at 0.25"
    assert cells[2] == f"{stage.reward.before.value:.2f} \u2192 {stage.reward.after.value:.2f}"
    assert stage.to_json()["blend"] == PLACE


def test_a_stage_without_one_is_as_it_was() -> None:
    _, record, _ = blended_record()
    plain = replace(record, stages=(replace(record.stages[0], blend=None),))
    stage, told = summarise(plain).stages["rl"], summarise(record).stages["rl"]
    assert stage.ends_with == RAW and stage.ending == "" and BLENDED not in stage.split
    assert stage.reward == told.objective("reward", RAW) and "blend" not in stage.sentence


def test_over_seeds_it_has_rows_of_its_own() -> None:
    summaries = [summarise(blended_record(seed)[1]) for seed in range(3)]
    rows = {row.weights: row for row in across_seeds(summaries) if row.objective == "reward"}
    assert rows.keys() == {RAW, AVERAGED, BLENDED}
    mean = np.mean([summary.stages["rl"].reward.change.value for summary in summaries])
    assert rows[BLENDED].change.value == pytest.approx(mean)
    assert {row.weights for row in coupling_table(summaries)} == {RAW, AVERAGED, BLENDED}


def test_a_recipes_exclusion_looks_at_the_weights_that_a_stage_ended_with() -> None:
    problem, record, policies = blended_record()
    between = (expected_reward(problem, policies["blend"]) + expected_reward(problem, policies["end"])) / 2
    rule = {"exclude_seeds": {"stage": "rl", "reward_below": float(between)}}
    assert exclusion(replace(record, resolved=rule)) is not None
    assert exclusion(replace(record, resolved=rule, stages=(replace(record.stages[0], blend=None),))) is None


def test_a_place_that_was_not_measured_is_said() -> None:
    _, record, _ = blended_record()
    kept = {point: scores for point, scores in record.kept.items() if point.position != PLACE}
    stage = summarise(replace(record, kept=kept)).stages["rl"]
    assert "was measured at the stage's start only" in str(stage.reward.change)
