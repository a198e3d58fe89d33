"""The coupling table, the seeds that a rule leaves out, and averages over seeds that share their prompts."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from interlace.analysis import across_seeds, coupling_table, figures_across_seeds, result_json, seed_groups, summarise
from interlace.encoding import dumps
from interlace.estimate import THIS_RECIPE, Unresolved
from interlace.measurement import AVERAGED, RAW
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run

RULE = {"exclude_seeds": {"stage": "sft", "reward_below": 0.2}}


def record_of(seed, *, own_prompts=True, skill=0.3, fingerprint=None, resolved=RULE):
    """SFT that does nothing, then RL by policy gradient on it, with averaged weights at its end."""
    problem = binary_problem(np.random.default_rng(100 + seed if own_prompts else 100), prompts=40, skill=skill)
    noise = np.random.default_rng(seed).gamma(20.0, size=problem.reference.shape)
    reference = problem.reference * noise
    problem = dataclasses.replace(problem, reference=reference / reference.sum(axis=1, keepdims=True))
    run = softmax_gradient_run(problem, 2.0, 5 + seed)
    rl = {0: run[0], 10: run[5 + seed]}
    stages = (
        Stage({0: problem.reference, 10: problem.reference}, kind="sft"),
        Stage(rl, averaged={10: run[3]}, options={"placebo": "strict", "start_from": "sft"}),
    )
    record = make_record(problem, *stages, seed=seed)
    data = {} if fingerprint is None else {"data": {"sums": {"train": "t", "heldout": fingerprint}}}
    return dataclasses.replace(record, resolved=resolved, manifest=data)


def by_hand(records, stage, weights=RAW):
    """Of each record: loss per prompt at start and end, right part per prompt of the change, reward per prompt."""
    found = []
    for record in records:
        held = record.heldout["sums"]
        kept = {p: s for p, s in record.kept.items() if p.stage == stage}
        ends = [
            next(s for p, s in kept.items() if p.step == 0 and p.weights == RAW),
            next(s for p, s in kept.items() if p.step == 10 and p.weights == weights),
        ]
        rows = held.probability[:, None] * np.stack([-end.expert_logprobs for end in ends], axis=1)
        by_prompt = np.zeros((2, held.num_prompts, 2))
        for row, prompt, reward in zip(rows, held.prompt, held.reward, strict=True):
            by_prompt[int(reward), prompt] += row
        loss = by_prompt.sum(axis=0)
        reward = np.stack([(e.reward_values * e.reward_probabilities).sum(axis=1) for e in ends], axis=1)
        found.append((loss, by_prompt[1, :, 1] - by_prompt[1, :, 0], reward))
    return found


@pytest.fixture(scope="module")
def records():
    return [record_of(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def rows(records):
    return {(row.arm, row.weights): row for row in coupling_table([summarise(record) for record in records])}


@pytest.mark.parametrize("weights", [RAW, AVERAGED])
def test_a_row_is_the_mean_over_seeds_of_what_each_prompt_shows(records, rows, weights):
    row, found = rows["rl", weights], by_hand(records, "02-rl", weights)
    assert row.sft_loss_before.value == pytest.approx(np.mean([loss[:, 0].mean() for loss, _, _ in found]))
    assert row.sft_loss_after.value == pytest.approx(np.mean([loss[:, 1].mean() for loss, _, _ in found]))
    assert row.right.value == pytest.approx(np.mean([right.mean() for _, right, _ in found]))
    assert row.reward_change.value == pytest.approx(np.mean([np.diff(reward).mean() for _, _, reward in found]))
    assert row.right.value + row.wrong.value == pytest.approx(row.sft_loss_change.value)
    assert (row.num_seeds, row.num_excluded, row.sft_loss_change.n) == (4, 0, 4)
    assert row.sft_loss_change.scope == THIS_RECIPE


def test_a_row_says_where_its_arm_began_and_what_it_is(rows):
    row = rows["rl", RAW]
    assert (row.started_from, row.kind, row.control) == ("sft", "rl", "rewards permuted within each group")
    assert rows["sft", RAW].started_from is None
    assert list(rows) == [("sft", RAW), ("rl", RAW), ("rl", AVERAGED)]


def test_seeds_with_prompts_of_their_own_are_averaged_over_their_means(records, rows):
    means = [np.diff(loss).mean() for loss, _, _ in by_hand(records, "02-rl")]
    half = 3.182446305 * np.std(means, ddof=1) / 2.0  # Student t, 3 degrees of freedom, 4 seeds
    change = rows["rl", RAW].sft_loss_change
    assert (change.lower, change.upper) == pytest.approx((change.value - half, change.value + half))


def test_prompts_that_all_seeds_share_are_a_source_of_error_too():
    records = [record_of(seed, own_prompts=False, fingerprint="p") for seed in range(4)]
    apart = [dataclasses.replace(record, manifest={}) for record in records]
    shared, alone = (
        {(r.arm, r.weights): r for r in coupling_table([summarise(record) for record in some])}["rl", RAW]
        for some in (records, apart)
    )
    for name in ("sft_loss_before", "sft_loss_after", "sft_loss_change", "right", "wrong", "reward_change"):
        with_prompts, without = getattr(shared, name), getattr(alone, name)
        assert with_prompts.value == pytest.approx(without.value), name
        assert "seeds and prompts" in with_prompts.method and "prompts" not in without.method
    table = np.stack([np.diff(loss)[:, 0] for loss, _, _ in by_hand(records, "02-rl")])
    rows_, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows_[:, None] - columns + table.mean()
    parts = rows_.var(ddof=1) / 4, columns.var(ddof=1) / 40
    variance = max(*parts, sum(parts) - (rest**2).sum() / (3 * 39) / (4 * 40))
    change = shared.sft_loss_change
    assert (change.upper - change.lower) / 2 >= 1.96 * np.sqrt(variance)
    assert (change.upper - change.lower) / 2 <= 3.19 * np.sqrt(variance)
    figures = {
        (f.stage, f.weights, f.name): f.figure for f in figures_across_seeds([summarise(record) for record in records])
    }
    assert figures["rl", RAW, "right"] == shared.right


def test_other_prompts_under_the_same_name_are_not_shared():
    records = [record_of(seed, fingerprint=f"p{seed}") for seed in range(3)]
    rows = coupling_table([summarise(record) for record in records])
    assert all("prompts" not in row.sft_loss_change.method for row in rows)


def test_a_seed_that_never_broke_through_is_left_out_and_counted(records):
    weak = summarise(record_of(9, skill=0.05))
    summaries = [summarise(record) for record in records]
    assert weak.excluded is not None and weak.excluded.startswith("sft ended with reward 0.0")
    assert weak.excluded.endswith(", below 0.2") and weak.to_json()["excluded"] == weak.excluded
    together = [*summaries[:2], weak, *summaries[2:]]
    assert across_seeds(together) == across_seeds(summaries)
    assert [row.num_excluded for row in coupling_table(together)] == [1, 1, 1]
    assert [run.seed for run in seed_groups(together)[0]] == [0, 1, 2, 3]


def test_the_rule_looks_at_its_stage_alone_and_only_when_that_is_done(records):
    assert summarise(record_of(9, skill=0.05, resolved={})).excluded is None
    record = record_of(9, skill=0.05)
    unfinished = dataclasses.replace(record.stages[0], steps_planned=20)
    assert summarise(dataclasses.replace(record, stages=(unfinished, record.stages[1]))).excluded is None
    other = {"exclude_seeds": {"stage": "rl", "reward_below": 0.99}}
    assert "rl ended" in str(summarise(record_of(0, resolved=other)).excluded)


def test_one_seed_has_no_table_and_json_holds_it(records):
    summaries = [summarise(record) for record in records[:2]]
    assert coupling_table(summaries[:1]) == []
    wire = json.loads(dumps(result_json(summaries)))["coupling_table"]
    assert [row["arm"] for row in wire] == ["sft", "rl", "rl"]
    assert {"value", "lower", "upper"} <= set(wire[1]["right"])
    names = {"task", "objective", "weights", "before", "after", "change"}
    assert set(summaries[0].stages["rl"].objectives[0].to_json()) == names


def test_a_part_without_its_prompts_is_not_resolved(records):
    summary = summarise(records[0])
    stages = [
        dataclasses.replace(s, objectives=tuple(dataclasses.replace(o, prompts=None) for o in s.objectives))
        for s in summary.stages
    ]
    bare = [dataclasses.replace(summary, seed=n, stages=type(summary.stages)(tuple(stages))) for n in range(2)]
    assert all(isinstance(row.right, Unresolved) for row in coupling_table(bare))


def test_an_arm_that_one_seed_has_shows_that_seed_alone():
    """Controls with `seeds: [0]`: the other runs lack the stage, and still belong to the same recipe."""
    whole = [record_of(seed) for seed in range(3)]
    lacking = [dataclasses.replace(record, stages=record.stages[:1]) for record in whole[1:]]
    partial = whole[0].stages[1]
    first = dataclasses.replace(
        whole[0],
        stages=(whole[0].stages[0], dataclasses.replace(partial, options=partial.options | {"seeds": [0]})),
    )
    summaries = [summarise(record) for record in (*lacking, first)]
    rows = {(row.arm, row.weights): row for row in coupling_table(summaries)}
    assert (rows["sft", RAW].num_seeds, rows["rl", RAW].num_seeds) == (3, 1)
    own = summaries[-1].stages["rl"]
    assert rows["rl", RAW].sft_loss_change == own.sft_loss.change
    assert rows["rl", RAW].reward_change == own.reward.change
    assert rows["sft", RAW].sft_loss_change.scope == THIS_RECIPE
