"""Rows of the shoot-out beyond the arms' own weights: the line, hypervolume, places, two tasks, what nobody trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.halves import CHOOSING, JUDGING, half_of
from interlace.analysis.shootout import shootout, shootout_sentences
from interlace.analysis.shootout.area import dominated_area
from interlace.analysis.trajectory import Snapshot
from interlace.errors import DataError
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import LINE, RAW, PromptScores
from interlace.statistics import sum_of_means_interval
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import entropy, expected_reward, sft_loss
from interlace.theory.frontier import joint_optimum, joint_value
from tests.analysis.test_shootout import judged
from tests.analysis.worlds import TASK, MemoryRecord, Stage, binary_problem, held_out, make_record

TOKENS = {10: {"tokens": 1000.0, "tokens_sampled": 100.0, "imitation_share": 2.5}}
OTHER = "others"


def problem_of(seed: int, expert_reward: float = 0.7) -> Any:
    return binary_problem(np.random.default_rng(seed), prompts=40, skill=0.3, expert_reward=expert_reward)


def arm(name: str, problem: Any, time: float, *, line: tuple[float, ...] = (), options: dict[str, Any] | None = None):
    """Tilts by `time`; the line's places by shares of it."""
    policies = {0: problem.reference, 10: tilted_policy(problem, time)}
    places_on_line = {share: tilted_policy(problem, share * time) for share in line}
    asked = {"start_from": "sft", "method": {"name": "joint", "mu": 0.5}} | (options or {})
    return Stage(policies, kind="hybrid", name=name, options=asked, spent=TOKENS, line=places_on_line)


def start(problem: Any) -> Stage:
    return Stage({0: problem.reference, 10: problem.reference}, kind="sft")


def rows(found: Any, weights: str = RAW) -> dict[str, Any]:
    return {row.arm: row for row in found.rows if row.weights == weights}


def test_the_line_is_chosen_on_one_half_and_judged_on_the_other() -> None:
    problem = problem_of(0)
    shares = (0.0, 0.25, 0.5, 1.0)
    record = make_record(problem, start(problem), arm("a", problem, 8.0, line=shares), arm("b", problem, 1.0))
    row = rows(shootout([record], exchange_rate=0.3), LINE)["a"]
    values = {}
    for share in shares:
        policy = tilted_policy(problem, share * 8.0)
        rewards = ((policy - problem.reference) * problem.reward).sum(axis=1)
        losses = -(problem.expert * np.log(policy / problem.reference)).sum(axis=1)
        values[share] = rewards - 0.3 * losses
    best = max(shares, key=lambda share: values[share][0::2].mean())
    assert row.value.value == pytest.approx(values[best][1::2].mean(), abs=1e-9)
    assert row.value.n == 20 and "b" not in rows(shootout([record]), LINE)


def test_that_arms_read_their_common_start_with_noise_is_none_of_their_differences() -> None:
    """Where rewards are sampled each arm reads the start anew: its value is counted from the first one's reading."""
    problem = problem_of(1)
    read_otherwise = tilted_policy(problem, 0.2)
    noisy = arm("b", problem, 2.0)
    noisy = replace(noisy, policies={**noisy.policies, 0: read_otherwise})
    found = rows(shootout([make_record(problem, start(problem), arm("a", problem, 1.0), noisy)], exchange_rate=0.5))
    ends = [tilted_policy(problem, time)[1::2] for time in (1.0, 2.0)]
    judging_half = {name: getattr(problem, name)[1::2] for name in ("expert", "reward")}
    one, two = (
        float(((end * judging_half["reward"]) + 0.5 * judging_half["expert"] * np.log(end)).sum(axis=1).mean())
        for end in ends
    )
    assert found["b"].value.value - found["a"].value.value == pytest.approx(two - one, abs=1e-9)


def test_every_kind_of_weights_is_judged_on_the_prompts_that_do_not_choose() -> None:
    """By hand, on the prompts of odd number; those that steer methods and stop rules are the others."""
    problem = problem_of(0)
    record = make_record(problem, start(problem), arm("a", problem, 2.0, line=(0.0, 1.0)), arm("b", problem, 1.0))
    policy, half = tilted_policy(problem, 2.0), judged(problem)
    found = shootout([record])
    for weights in (RAW, LINE):
        row = rows(found, weights)["a"]
        assert row.reward.value == pytest.approx(expected_reward(half, policy[1::2]), abs=1e-9)
        assert row.sft_loss.value == pytest.approx(sft_loss(half, policy[1::2]), abs=1e-9)
        best = joint_value(half, 0.5)
        begun = expected_reward(half, half.reference) - 0.5 * sft_loss(half, half.reference)
        assert row.gain_shares[0] == pytest.approx(row.value.value / (best - begun), abs=1e-9)
    numbers = np.arange(9.0)
    shot = Snapshot(held_out(problem), 0, None, PromptScores(kl=numbers))
    assert [half_of(shot, half).scores.kl.tolist() for half in (CHOOSING, JUDGING)] == [
        numbers[0::2].tolist(),
        numbers[1::2].tolist(),
    ]


def test_hypervolume_is_the_area_that_looks_dominate_over_that_of_the_front() -> None:
    """One place on the front, against the front drawn by four thousand of them."""
    problem = problem_of(1)
    half = judged(problem)
    best = replace(arm("best", problem, 0.0), policies={0: problem.reference, 10: joint_optimum(problem, 0.05)})
    stages = start(problem), best, arm("other", problem, 1.0)
    found = rows(shootout([make_record(problem, *stages, seed=seed) for seed in range(3)]))["best"].area
    low, ceiling = expected_reward(half, half.reference), sft_loss(half, half.reference)
    ceiling += (1.0 - low) / 0.5
    policies = [joint_optimum(half, rate) for rate in np.geomspace(1e-3, 50.0, 4000)]
    policies = [joint_optimum(problem, 0.05)[1::2], *policies]
    points = [(expected_reward(half, each), sft_loss(half, each)) for each in policies]
    by_hand = dominated_area(points[:1], low, ceiling) / dominated_area(points, low, ceiling)
    assert isinstance(found, Estimate) and found.value == pytest.approx(by_hand, rel=0.01)
    assert isinstance(rows(shootout([make_record(problem, *stages)]))["best"].area, Unresolved)


def test_dominated_area_is_that_of_the_union_counted_on_a_grid() -> None:
    rng = np.random.default_rng(3)
    spots = [(float(a), float(b)) for a, b in rng.uniform(0.0, 1.0, size=(7, 2))]
    x, y = np.meshgrid(np.linspace(0.1, 1.0, 1500), np.linspace(0.0, 0.9, 1500))
    covered = np.zeros_like(x, dtype=bool)
    for reward, loss in spots:
        covered |= (x <= reward) & (y >= loss)
    assert dominated_area(spots, 0.1, 0.9) == pytest.approx(covered.mean() * 0.81, abs=2e-3)


def test_places_are_those_of_all_pairs_together() -> None:
    """Arms far apart have a place without doubt; two that differ by seed share theirs."""
    records = []
    for seed, problem in enumerate(map(problem_of, range(6))):
        times = (1.0, 1.2, 12.0) if seed % 2 else (1.2, 1.0, 10.0)
        arms = [arm(name, problem, time) for name, time in zip(("a", "b", "far"), times, strict=True)]
        records.append(make_record(problem, start(problem), *arms, seed=seed))
    found = rows(shootout(records, exchange_rate=0.5))
    assert (found["far"].rank.value, found["far"].rank.lower, found["far"].rank.upper) == (3.0, 3.0, 3.0)
    assert {(found[name].rank.lower, found[name].rank.upper) for name in "ab"} == {(1.0, 2.0)}
    assert rows(shootout(records[:1]))["far"].rank.value == 3.0
    best = min("ab", key=lambda name: found[name].rank.value)
    behind = np.subtract(found[best].values, found["far"].values)
    half = stats.t.ppf(1.0 - 0.025 / 3, 5) * behind.std(ddof=1) / np.sqrt(6)
    assert found["far"].behind.upper == pytest.approx(behind.mean() + half)


def test_no_row_of_any_weights_beats_one_on_the_pareto_front() -> None:
    """The whole line is better than the end that it leads to, and the end is then not on it."""
    problem = problem_of(0)
    stages = arm("a", problem, 8.0, line=(0.0, 0.02, 1.0)), arm("b", problem, 20.0, line=(0.0, 0.02, 1.0))
    found = shootout([make_record(problem, start(problem), *stages)], exchange_rate=2.0)
    places = [(row.reward.value, row.sft_loss.value) for row in found.rows]
    for row, (reward, loss) in zip(found.rows, places, strict=True):
        beaten = any(r >= reward and least <= loss and (r, least) != (reward, loss) for r, least in places)
        assert row.on_pareto != beaten
    assert any(row.on_pareto for row in found.rows)


def test_columns_that_no_method_was_trained_for() -> None:
    problem = problem_of(2)
    record = make_record(problem, start(problem), arm("a", problem, 2.0), arm("b", problem, 1.0))
    row = rows(shootout([record]))["a"]
    policy, problem = tilted_policy(problem, 2.0)[1::2], judged(problem)
    right = problem.reward == 1.0
    weights = problem.expert * right
    change = -(weights * np.log(policy / problem.reference)).sum() / weights.sum()
    assert row.sft_loss_right_change.value == pytest.approx(change, abs=1e-9)
    passed = 1.0 - (1.0 - (policy * right).sum(axis=1)) ** 8
    assert row.pass_at_8.value == pytest.approx(passed.mean(), abs=1e-9)
    assert row.imitation == pytest.approx(0.25)


def two_tasks(first: MemoryRecord, second: MemoryRecord) -> MemoryRecord:
    """The first record's stages, measured on the second one's held-out task as well."""
    kept = {replace(point, task=OTHER): found for point, found in second.kept.items()}
    heldout = first.heldout | {OTHER: replace(second.heldout[TASK], task=OTHER)}
    stages = []
    for stage, other in zip(first.stages, second.stages, strict=True):
        moved = tuple(replace(item, point=replace(item.point, task=OTHER)) for item in other.measurements)
        stages.append(replace(stage, measurements=(*stage.measurements, *moved)))
    return replace(first, stages=tuple(stages), heldout=heldout, kept=dict(first.kept) | kept)


def cross(seed: int) -> tuple[MemoryRecord, Any, Any]:
    """`a` gains reward on one task while it comes nearer to the other one's expert; `b` does less of both."""
    one, two = problem_of(seed), problem_of(seed + 100)
    options = {"imitate": OTHER}
    nearer = [0.5 * two.reference + 0.5 * two.expert, 0.9 * two.reference + 0.1 * two.expert]
    first = make_record(one, start(one), *(arm(n, one, t, options=options) for n, t in (("a", 2.0), ("b", 1.0))))
    moved = [replace(arm(n, two, 0.0), policies={0: two.reference, 10: policy})
             for n, policy in zip("ab", nearer, strict=True)]  # fmt: skip
    return two_tasks(first, make_record(two, start(two), *moved)), one, two


def test_reward_of_one_task_and_sft_loss_of_another() -> None:
    record, one, two = cross(0)
    found = shootout([record], exchange_rate=0.5)
    (pair,) = found.pairs
    assert (pair.rewarded, pair.imitated) == (TASK, OTHER) and not found.fronts
    row = rows(found)["a"]
    policy, one, two = tilted_policy(one, 2.0)[1::2], judged(one), judged(two)
    near = 0.5 * two.reference + 0.5 * two.expert
    gain = expected_reward(one, policy) - expected_reward(one, one.reference)
    fall = sft_loss(two, near) - sft_loss(two, two.reference)
    assert row.value.value == pytest.approx(gain - 0.5 * fall, abs=1e-9)
    assert row.excess.value == pytest.approx(sft_loss(two, near) - entropy(two, two.expert), abs=1e-9)
    begun = expected_reward(one, one.reference) - 0.5 * sft_loss(two, two.reference)
    best = 1.0 - 0.5 * entropy(two, two.expert)
    assert row.gain_shares[0] == pytest.approx(row.value.value / (best - begun), abs=1e-9)
    assert isinstance(row.area, Unresolved)


def test_other_held_out_tasks_are_elsewhere() -> None:
    record, _, two = cross(0)
    stages = tuple(replace(s, options={k: v for k, v in s.options.items() if k != "imitate"}) for s in record.stages)
    row = rows(shootout([replace(record, stages=stages)]))["a"]
    two = judged(two)
    near = 0.5 * two.reference + 0.5 * two.expert
    change = expected_reward(two, near) - expected_reward(two, two.reference)
    assert row.elsewhere[OTHER].value == pytest.approx(change, abs=1e-9)


def test_the_sum_of_independent_means_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(2000):
        figure = sum_of_means_interval([rng.normal(1.0, 3.0, size=12), rng.normal(-2.0, 0.5, size=40)], unit="nats")
        assert isinstance(figure, Estimate)
        hits += figure.covers(-1.0)
    assert 0.935 <= hits / 2000 <= 0.965


def test_stages_in_a_row_are_one_arm() -> None:
    """SFT -> RL -> SFT beside both losses at once: the path goes on in compute and in steps."""
    problem = problem_of(4)
    up, down = tilted_policy(problem, 6.0), tilted_policy(problem, 2.0)
    path = [
        Stage({0: problem.reference, 10: up}, name="rl", options={"start_from": "sft"}, spent=TOKENS),
        Stage({0: up, 10: down}, kind="sft", name="sft-2", options={"start_from": "rl"}, spent=TOKENS),
    ]
    twice = {10: {"tokens": 2000.0, "tokens_sampled": 200.0, "imitation_share": 5.0}}
    both = replace(arm("joint", problem, 3.0), spent=twice)
    found = shootout([make_record(problem, start(problem), *path, both)], exchange_rate=0.5)
    assert (
        found.started_from == "sft"
        and found.against == "rl"
        and rows(found).keys() == {"rl", "rl \u2192 sft-2", "joint"}
    )
    row, other = rows(found)["rl \u2192 sft-2"], rows(found)["joint"]
    alone = rows(found)["rl"]
    assert alone.is_short and alone.step == 10 and not row.is_short and alone.imitation == 0.0
    assert row.step == 20 and row.compute == other.compute and row.imitation == 0.5 == other.imitation
    assert row.sft_loss.value == pytest.approx(sft_loss(judged(problem), down[1::2]), abs=1e-9)
    assert row.method == "rl \u2192 sft" and not rows(found, LINE)
    record = make_record(problem, start(problem), *path, both)
    assert shootout([record], against="rl -> sft-2").against == "rl \u2192 sft-2"


def test_the_start_is_that_of_most_stages_whatever_else_begins_elsewhere() -> None:
    """A control from the model, and a stage from averaged weights, are no arms from the SFT stage."""
    problem = problem_of(5)
    arms = [arm(name, problem, time) for name, time in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    control = arm("control", problem, 1.0, options={"start_from": "model"})
    late = arm("late", problem, 1.0, options={"start_from": "averaged"})
    found = shootout([make_record(problem, start(problem), control, *arms, late)])
    assert found.started_from == "sft" and rows(found).keys() == {"a", "b", "c"}


def test_runs_of_other_recipes_or_the_same_seed_twice_are_refused() -> None:
    problem = problem_of(6)
    record = make_record(problem, start(problem), arm("a", problem, 1.0), arm("b", problem, 2.0))
    with pytest.raises(DataError, match="Got \\[0, 0\\]: seed 0 is in runs/made-up and in runs/made-up. Leave"):
        shootout([record, record])
    with pytest.raises(DataError, match="runs of one recipe. Got made-up, other"):
        shootout([record, replace(record, recipe="other", seed=1)])


def test_runs_of_other_tasks_are_refused() -> None:
    problem = problem_of(6)
    one = make_record(problem, start(problem), arm("a", problem, 1.0), arm("b", problem, 2.0))
    other = replace(one, seed=1, resolved={"tasks": {"sums": {"digits": 3}}})
    with pytest.raises(DataError, match="the same tasks"):
        shootout([one, other])


def test_a_stage_that_seeds_trained_otherwise_is_no_arm() -> None:
    problem = problem_of(7)
    records = []
    for seed, rate in ((0, 1e-3), (1, 2e-3)):
        arms = [arm("a", problem, 1.0), arm("b", problem, 2.0), arm("c", problem, 2.0, options={"learning_rate": rate})]
        records.append(make_record(problem, start(problem), *arms, seed=seed))
    assert rows(shootout(records)).keys() == {"a", "b"}
    assert rows(shootout(records[:1])).keys() == {"a", "b", "c"}


@pytest.mark.parametrize(("share", "is_short"), [(0.5, True), (0.96, False)])
def test_an_arm_that_ended_with_less_cuts_no_other(share: float, is_short: bool) -> None:
    """Two arms of three were looked at twice; the third ended at a share of their compute."""
    problem = problem_of(8)
    long = {10: {"tokens": 1000.0, "tokens_sampled": 100.0}, 20: {"tokens": 2000.0, "tokens_sampled": 200.0}}
    policies = {0: problem.reference, 10: tilted_policy(problem, 1.0), 20: tilted_policy(problem, 2.0)}
    arms = [replace(arm(name, problem, 1.0), policies=policies, spent=long) for name in ("a", "b")]
    less = replace(arm("less", problem, 1.0), spent={10: {name: share * spent for name, spent in long[20].items()}})
    found = rows(shootout([make_record(problem, start(problem), *arms, less)]))
    assert (found["a"].step, found["less"].step) == (20, 10)
    assert found["less"].is_short == is_short and not found["a"].is_short


def test_an_arm_whose_looks_lie_apart_is_not_short() -> None:
    """All end at step 20; `rare` was looked at there alone, beyond what the others had taken by then."""
    problem = problem_of(8)
    policies = {0: problem.reference, 10: tilted_policy(problem, 1.0), 20: tilted_policy(problem, 2.0)}
    each = {step: {"tokens": 100.0 * step, "tokens_sampled": 10.0 * step} for step in (10, 20)}
    more = {step: {"tokens": 106.0 * step, "tokens_sampled": 10.6 * step} for step in (10, 20)}
    arms = [replace(arm(name, problem, 1.0), policies=policies, spent=each) for name in ("a", "b", "c")]
    rare = replace(arm("rare", problem, 1.0), policies=policies, spent=more)
    found = rows(shootout([make_record(problem, start(problem), *arms, rare)]))
    assert (found["a"].step, found["rare"].step) == (20, 10)
    assert not any(row.is_short for row in found.values()) and found["rare"].is_early


def test_what_an_arm_was_told_stands_in_its_row() -> None:
    problem = problem_of(7)
    told = {"method": {"name": "frontier", "exchange_rate": 0.25}, "stop": {"rule": "exchange_rate",
            "exchange_rate": 0.5}}  # fmt: skip
    placed = {"blend": {"position": 0.5, "budget": None, "exchange_rate": None}}
    arms = [arm("told", problem, 1.0, options=told), arm("placed", problem, 1.0, options=placed)]
    chosen = arm("chosen", problem, 1.0, options={"blend": {"exchange_rate": 0.5}})
    found = rows(shootout([make_record(problem, start(problem), *arms, chosen)]))
    assert {name: row.exchange_rates for name, row in found.items()} == {
        "told": (0.25, 0.5), "placed": (), "chosen": (0.5,)
    }  # fmt: skip
    assert {name for name, row in found.items() if row.is_stopped_or_blended} == {"told", "chosen"}


def test_too_few_prompts_have_no_place() -> None:
    problem = binary_problem(np.random.default_rng(0), prompts=4, skill=0.3)
    found = rows(shootout([make_record(problem, start(problem), arm("a", problem, 1.0), arm("b", problem, 2.0))]))
    assert isinstance(found["a"].rank, Estimate)
    two = binary_problem(np.random.default_rng(0), prompts=2, skill=0.3)
    found = rows(shootout([make_record(two, start(two), arm("a", two, 1.0), arm("b", two, 2.0))]))
    assert isinstance(found["a"].rank, Unresolved)
    one = binary_problem(np.random.default_rng(0), prompts=1, skill=0.3)
    assert not shootout([make_record(one, start(one), arm("a", one, 1.0), arm("b", one, 2.0))]).rows


def test_the_best_of_many_is_said_with_all_comparisons_together() -> None:
    """Equal arms: no lead is sure, and all others are named as perhaps as good."""
    problems = [problem_of(seed) for seed in range(3)]
    rng = np.random.default_rng(0)
    records = []
    for seed, problem in enumerate(problems):
        arms = [arm(f"arm-{n}", problem, float(2.0 + rng.normal(0.0, 0.2))) for n in range(6)]
        records.append(make_record(problem, start(problem), *arms, seed=seed))
    (sentence,) = shootout_sentences(shootout(records))
    assert " over arm-0 at its best, which may be chance (intervals hold for the best of 6 rows)" in sentence
    assert "rows); not resolved to lie behind it" in sentence


def test_what_is_told_the_expert_is_named_beside_the_best_of_the_others() -> None:
    """`known` stays at the start's loss, the others tilt far; it is first, and told."""
    problem = problem_of(7)
    tilted = [arm(f"arm-{n}", problem, float(n + 6)) for n in range(2)]
    known = arm("known", problem, 1.0, options={"method": {"name": "frontier"}})
    found = shootout([make_record(problem, start(problem), *tilted, known)], exchange_rate=2.0)
    (plain,), (said,) = shootout_sentences(found), shootout_sentences(found, {"frontier"})
    assert "most R \u2212 2 L has known" in plain and "told" not in plain
    assert "known is told the expert\u2019s distribution; of arms that see its responses alone arm-0" in said


def test_a_joint_stage_that_is_one_side_alone_says_which_and_is_looked_up_by_its_name() -> None:
    problem = problem_of(0)
    sides = {"rl": ("joint", 0.0), "sft-more": ("joint", 1.0), "mixed": ("joint", 0.5), "ptx": ("ptx", 0.0)}
    arms = [
        arm(name, problem, 1.0 + n, options={"method": {"name": method, "mu": mu}})
        for n, (name, (method, mu)) in enumerate(sides.items())
    ]
    found = rows(shootout([make_record(problem, start(problem), *arms)]))
    assert {name: row.method for name, row in found.items()} == {
        "rl": "joint, mu 0", "sft-more": "joint, mu 1", "mixed": "joint", "ptx": "ptx"
    }  # fmt: skip
    assert {name: row.methods for name, row in found.items()} == {
        "rl": ("joint",), "sft-more": ("joint",), "mixed": ("joint",), "ptx": ("ptx",)
    }  # fmt: skip
    path = replace(found["rl"], method="joint, mu 0 \u2192 guarded")
    assert path.methods == ("joint", "guarded")
