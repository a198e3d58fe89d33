"""Distance to the front at equal reward, against policies whose distance is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.distance import apart_at, bound_curve, distances, lower_hull
from interlace.analysis.shootout.seen import Look, course_of
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.frontier import joint_optimum, least_sft_loss
from tests.analysis.test_shootout import judged as judging_problem
from tests.analysis.test_shootout_rows import TOKENS, problem_of, start
from tests.analysis.worlds import TASK, MemoryRecord, Stage, make_record

PAIR = Pair(TASK, TASK)
JUDGES = slice(1, None, 2)
TIMES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def world(seed: int) -> MemoryRecord:
    """`rl` goes along the RL path; `straight-*` end on the front."""
    problem = problem_of(seed)
    policies = {10 * place: tilted_policy(problem, time) for place, time in enumerate(TIMES)}
    spent = {step: TOKENS[10] for step in policies if step}
    path = Stage(policies, kind="hybrid", name="rl", options={"start_from": "sft"}, spent=spent)
    ends = [
        Stage({0: problem.reference, 10: joint_optimum(problem, rate)}, kind="hybrid", name=f"straight-{rate}",
              options={"start_from": "sft"}, spent=TOKENS)
        for rate in (0.03, 0.1, 0.3, 1.0, 3.0)
    ]  # fmt: skip
    return make_record(problem, start(problem), path, *ends, seed=seed)


def by_prompt(problem, policy) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -np.where(problem.expert > 0, problem.expert * np.log(policy), 0.0).sum(axis=1)
    return (policy * problem.reward).sum(axis=1), losses


def judged(problem, policy) -> tuple[float, float]:
    rewards, losses = by_prompt(problem, policy)
    return float(rewards[JUDGES].mean()), float(losses[JUDGES].mean())


def test_distance_is_read_where_half_of_the_prompts_pass_the_reward() -> None:
    records = [world(seed) for seed in range(3)]
    found = next(d for d in distances(records, [Arm(("rl",))], PAIR, [0.72]) if d.weights == RAW)
    expected = []
    for seed in range(3):
        problem = problem_of(seed)
        policies = [tilted_policy(problem, time) for time in TIMES]
        rewards = [float((policy * problem.reward).sum(axis=1)[0::2].mean()) for policy in policies]
        place = next(i for i in range(1, len(rewards)) if rewards[i - 1] < 0.72 <= rewards[i])
        share = (0.72 - rewards[place - 1]) / (rewards[place] - rewards[place - 1])
        (r0, l0), (r1, l1) = (by_prompt(problem, policy) for policy in policies[place - 1 : place + 1])
        problem, half = judging_problem(problem), slice(1, None, 2)
        rewards, losses = ((1 - share) * r0 + share * r1)[half], ((1 - share) * l0 + share * l1)[half]
        mean, step = float(rewards.mean()), 1e-5
        slope = (least_sft_loss(problem, mean + step) - least_sft_loss(problem, mean - step)) / (2 * step)
        best = by_prompt(problem, joint_optimum(problem, 1 / slope) if slope > 1e-9 else problem.expert)
        regret = losses - best[1] - slope * (rewards - best[0])
        expected.append(regret.mean())
    assert isinstance(found.over_front, Estimate) and found.reached == 3
    assert found.over_front.value == pytest.approx(np.mean(expected), abs=2e-4)
    assert isinstance(found.over_bound, Unresolved)


def test_the_mean_over_rewards_is_of_runs_that_come_to_all() -> None:
    records, arm = [world(seed) for seed in range(3)], [Arm(("rl",))]
    *each, mean = (d for d in distances(records, arm, PAIR, [0.7, 0.72, 0.75]) if d.weights == RAW)
    assert [d.reward for d in each] == [0.7, 0.72, 0.75] and mean.reward is None and mean.reached == 3
    values = [d.over_front.value for d in each if isinstance(d.over_front, Estimate)]
    assert isinstance(mean.over_front, Estimate) and mean.over_front.value == pytest.approx(np.mean(values), abs=1e-9)
    *_, missed = (d for d in distances(records, arm, PAIR, [0.7, 0.999]) if d.weights == RAW)
    assert missed.reached == 0 and isinstance(missed.over_front, Unresolved)


def test_what_is_held_against_another_is_paired_by_run_and_prompt() -> None:
    """Its mean is the difference of both distances; starts that differ are in no interval."""
    records, arms = [world(seed) for seed in range(3)], [Arm(("rl",)), Arm(("straight-3.0",))]
    found = apart_at(records, arms, PAIR, [0.72], (arms[1], RAW))
    (rl,) = [each for each in found if (each.arm, each.weights) == ("rl", RAW)]
    assert not [each for each in found if (each.arm, each.weights) == ("straight-3.0", RAW)]
    own, other = (
        next(d.over_front for d in distances(records, [arm], PAIR, [0.72]) if d.weights == RAW) for arm in arms
    )
    assert isinstance(rl.more, Estimate) and isinstance(own, Estimate) and isinstance(other, Estimate)
    assert rl.reached == 3 and rl.more.value == pytest.approx(own.value - other.value, abs=1e-12)
    nowhere = apart_at(records, arms, PAIR, [0.999], (arms[1], RAW))
    assert all(each.reached == 0 and isinstance(each.more, Unresolved) for each in nowhere)


def test_an_arm_that_does_not_come_there_has_no_distance() -> None:
    found = distances([world(0), world(1)], [Arm(("rl",))], PAIR, [0.999])
    assert all(each.reached == 0 and isinstance(each.over_front, Unresolved) for each in found)
    one, _ = [d for d in distances([world(0)], [Arm(("rl",))], PAIR, [0.6]) if d.weights == RAW]
    assert one.reached == 1 and isinstance(one.over_front, Estimate) and one.over_front.n == 20


def test_prompts_that_all_runs_share_are_in_the_interval() -> None:
    """Equal arms on the same prompts: without them the runs agree to the last digit, and the interval would be a
    point."""
    record, prints = world(0), {"data": {TASK: {"heldout": "same"}}}
    records = [replace(record, seed=seed, manifest=record.manifest | prints) for seed in range(3)]
    found = next(d for d in distances(records, [Arm(("rl",))], PAIR, [0.72]) if d.weights == RAW)
    alone = next(d for d in distances(records[:1], [Arm(("rl",))], PAIR, [0.72]) if d.weights == RAW)
    assert isinstance(found.over_front, Estimate) and isinstance(alone.over_front, Estimate)
    assert found.over_front.value == pytest.approx(alone.over_front.value)
    assert found.over_front.lower == pytest.approx(alone.over_front.lower, rel=0.05)
    assert found.over_front.upper == pytest.approx(alone.over_front.upper, rel=0.05)
    bound = dict.fromkeys(range(3), record)
    told = next(d for d in distances(records, [Arm(("rl",))], PAIR, [0.72], bound) if d.weights == RAW).over_bound
    assert isinstance(told, Estimate) and told.scope == "this recipe, on these prompts"


def first_look(record: MemoryRecord) -> Look:
    return course_of(record, Arm(("rl",)), PAIR, RAW, "flops")[0]


def test_over_a_bound_on_what_the_network_attains() -> None:
    """The curve goes through the ends of the stages that were trained straight to it, and through their start."""
    records = [world(seed) for seed in range(2)]
    problem = problem_of(0)
    curve = bound_curve(records[0], PAIR, first_look(records[0]))
    assert curve is not None
    for policy in (problem.reference, *(joint_optimum(problem, rate) for rate in (0.1, 0.3, 1.0))):
        reward, loss = judged(problem, policy)
        assert np.interp(reward, *curve) == pytest.approx(loss, abs=1e-9)
    straight = dict(enumerate(records))
    found = next(d for d in distances(records, [Arm(("rl",))], PAIR, [0.75], straight) if d.weights == RAW)
    assert isinstance(found.over_front, Estimate) and isinstance(found.over_bound, Estimate)
    assert 0.0 <= found.over_bound.value <= found.over_front.value + 0.02


def test_between_two_vertices_the_bound_is_on_a_coin_between_their_networks() -> None:
    """A coin drawn once a response has the line's reward, and by Jensen's inequality no more than its SFT loss."""
    record, problem = world(0), problem_of(0)
    curve = bound_curve(record, PAIR, first_look(record))
    one, other = (joint_optimum(problem, rate) for rate in (0.1, 0.3))
    assert curve is not None
    for share in (0.25, 0.5, 0.75):
        reward, loss = judged(problem, (1 - share) * one + share * other)
        drawn = (1 - share) * judged(problem, one)[1] + share * judged(problem, other)[1]
        assert loss <= np.interp(reward, *curve) + 1e-9 == pytest.approx(drawn, abs=1e-6)


def test_stages_from_another_start_bound_nothing() -> None:
    """The same prompts, and another policy to begin with."""
    record, problem = world(0), problem_of(0)
    moved = replace(problem, reference=tilted_policy(problem, 0.3))
    other = make_record(problem, start(moved), Stage({0: moved.reference, 10: joint_optimum(problem, 1.0)},
                        kind="hybrid", name="straight", options={"start_from": "sft"}, spent=TOKENS))  # fmt: skip
    assert bound_curve(other, PAIR, first_look(record)) is None
    found = [d for d in distances([record], [Arm(("rl",))], PAIR, [0.72], {0: other}) if d.weights == RAW]
    assert isinstance(found[0].over_bound, Unresolved)


def test_vertices_are_chosen_by_the_prompts_that_do_not_say_where_they_are() -> None:
    """A stage that is on the hull for the prompts that judge alone is no vertex."""
    record, problem = world(0), problem_of(0)
    lucky = joint_optimum(problem, 0.3).copy()
    lucky[::2] = problem.reference[::2]
    policies = {0: problem.reference, 10: lucky}
    also = Stage(policies, kind="hybrid", name="lucky", options={"start_from": "sft"}, spent=TOKENS)
    one = Stage({0: problem.reference, 10: joint_optimum(problem, 1.0)}, kind="hybrid", name="one",
                options={"start_from": "sft"}, spent=TOKENS)  # fmt: skip
    curve = bound_curve(make_record(problem, start(problem), also, one), PAIR, first_look(record))
    assert curve is not None and curve[0].tolist() == pytest.approx(
        [judged(problem, policy)[0] for policy in (problem.reference, joint_optimum(problem, 1.0))]
    )


def test_the_hull_is_that_of_all_mixtures() -> None:
    rng = np.random.default_rng(0)
    places = [(float(a), float(b)) for a, b in rng.uniform(size=(40, 2))]
    rewards, losses = np.array([places[number] for number in lower_hull(places)]).T
    assert (np.diff(rewards) > 0).all() and (np.diff(np.diff(losses) / np.diff(rewards)) > 0).all()
    assert all(np.interp(a, rewards, losses) <= b + 1e-12 for a, b in places)
    assert lower_hull([]) == []
