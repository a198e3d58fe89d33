"""Distance to the front at equal reward, against policies whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.distance import attained_curve, distances, lower_hull
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.frontier import joint_optimum, least_sft_loss
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
        rewards, losses = (1 - share) * r0 + share * r1, (1 - share) * l0 + share * l1
        mean, step = float(rewards.mean()), 1e-5
        slope = (least_sft_loss(problem, mean + step) - least_sft_loss(problem, mean - step)) / (2 * step)
        best = by_prompt(problem, joint_optimum(problem, 1 / slope) if slope > 1e-9 else problem.expert)
        regret = losses - best[1] - slope * (rewards - best[0])
        expected.append(regret[JUDGES].mean())
    assert isinstance(found.over_front, Estimate) and found.reached == 3
    assert found.over_front.value == pytest.approx(np.mean(expected), abs=2e-4)
    assert isinstance(found.over_attained, Unresolved)


def test_an_arm_that_does_not_come_there_has_no_distance() -> None:
    found = distances([world(0), world(1)], [Arm(("rl",))], PAIR, [0.999])
    assert all(each.reached == 0 and isinstance(each.over_front, Unresolved) for each in found)
    (one,) = [d for d in distances([world(0)], [Arm(("rl",))], PAIR, [0.6]) if d.weights == RAW]
    assert one.reached == 1 and isinstance(one.over_front, Estimate) and one.over_front.n == 20


def test_over_what_the_network_attains() -> None:
    """The curve goes through the ends of the stages that were trained straight to it."""
    records = [world(seed) for seed in range(2)]
    problem = problem_of(0)
    rewards, losses = attained_curve(records[0], PAIR)
    for rate in (0.1, 0.3, 1.0):
        reward, loss = judged(problem, joint_optimum(problem, rate))
        assert np.interp(reward, rewards, losses) == pytest.approx(loss, abs=1e-9)
    found = next(
        d for d in distances(records, [Arm(("rl",))], PAIR, [0.75], dict(enumerate(records))) if d.weights == RAW
    )
    assert isinstance(found.over_front, Estimate) and isinstance(found.over_attained, Estimate)
    assert 0.0 <= found.over_attained.value <= found.over_front.value + 0.02


def test_the_hull_is_that_of_all_mixtures() -> None:
    rng = np.random.default_rng(0)
    places = [(float(a), float(b)) for a, b in rng.uniform(size=(40, 2))]
    rewards, losses = lower_hull(places)
    assert (np.diff(rewards) > 0).all() and (np.diff(np.diff(losses) / np.diff(rewards)) > 0).all()
    assert all(np.interp(a, rewards, losses) <= b + 1e-12 for a, b in places)
    assert {(a, b) for a, b in zip(rewards.tolist(), losses.tolist(), strict=True)} <= set(places)
    assert lower_hull([])[0].size == 0
