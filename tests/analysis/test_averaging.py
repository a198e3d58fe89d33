"""The split of averaging's gain, on logits that drift along a known way with a known noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.averaging import (
    NO_FRONT,
    Gain,
    gain_of,
    merges_of,
    noise_from_ends,
    noise_of,
    split_over_runs,
    splits_of,
)
from interlace.analysis.shootout.limit import limit_of
from interlace.analysis.shootout.seen import course_of
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.theory.finite import FiniteProblem
from tests.analysis.test_shootout_rows import problem_of, start
from tests.analysis.worlds import TASK, MemoryRecord, Stage, make_record

PAIR = Pair(TASK, TASK)
ARM = Arm(("rl",))
ARMS = ("rl", "rl-b", "rl-c")
STEPS, SPEED, SIGMA, LAG = range(0, 101, 10), 0.03, 0.05, 20
RUNS = 6


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def drift(problem: FiniteProblem, step: float) -> np.ndarray:
    """Logits along the RL path."""
    return np.log(problem.reference) + SPEED * step * problem.reward


def world(
    seed: int,
    average: str,
    *,
    merge_averages: bool = False,
    same_problem: int = 0,
    weights: list[float] | None = None,
) -> MemoryRecord:
    """Three runs that diffuse about the RL path. Their averages: `late` (the run of 20 steps ago), `clean` (the path
    itself of 20 steps ago), `ahead` (the path itself, a quarter faster), or `clean and better` (as `clean`, and a step
    towards the expert)."""
    problem, rng = problem_of(same_problem), np.random.default_rng(seed)
    stages, ends, averages = [], [], []
    for place, name in enumerate(ARMS):
        steps = rng.normal(size=(len(STEPS), *problem.reference.shape)) * SIGMA * np.sqrt(10.0)
        noise = np.cumsum(steps, axis=0) - steps[0]
        raw = {step: drift(problem, step) + noise[number] for number, step in enumerate(STEPS)}
        late = {step: raw[max(0, step - LAG)] for step in STEPS}
        clean = {step: drift(problem, max(0, step - LAG)) for step in STEPS}
        ahead = {step: drift(problem, 1.25 * step) for step in STEPS}
        averaged = {"late": late, "ahead": ahead}.get(average, clean)
        if average == "clean and better":
            expert = np.log(problem.expert)
            averaged = {step: 0.8 * each + 0.2 * expert if step else each for step, each in clean.items()}
        line = {a: softmax((1 - a) * raw[0] + a * raw[100]) for a in np.linspace(0.0, 1.0, 6).tolist()}
        stages.append(
            Stage(
                {step: softmax(each) for step, each in raw.items()},
                kind="hybrid",
                name=name,
                averaged={step: softmax(each) for step, each in averaged.items()},
                line=line,
                options={"start_from": "sft", "replicate": place, "method": {"name": "joint", "mu": 0.0}},
                spent={step: {"tokens": 10.0 * step} for step in STEPS if step},
            )
        )
        ends.append(raw[100])
        averages.append(averaged[100])
    stages.append(merge("merge-mean", problem, ends, [{"stage": name, "weights": "raw"} for name in ARMS], weights))
    if merge_averages:
        asked = [{"stage": name, "weights": "averaged"} for name in ARMS]
        stages.append(merge("merge-averages", problem, averages, asked))
    return make_record(problem, start(problem), *stages, seed=seed)


def merge(
    name: str, problem: FiniteProblem, ends: list[np.ndarray], asked: list[Any], weights: list[float] | None = None
) -> Stage:
    policies = {0: problem.reference, 1: softmax(np.average(ends, axis=0, weights=weights))}
    how = {"name": "linear", "weights": weights} if weights else "linear"
    return Stage(policies, kind="merge", name=name, options={"start_from": "sft", "of": asked, "how": how})


def split(average: str, weights: str = AVERAGED, **asked: Any) -> Any:
    records = [world(seed, average, **asked) for seed in range(RUNS)]
    return next(row for row in splits_of(records, PAIR) if row.weights == weights)


def true_noise(share: float) -> float:
    """What noise adds to the excess after a share of the steps: many draws about the path itself."""
    problem, rng = problem_of(0), np.random.default_rng(99)
    record = world(0, "late")
    look = course_of(record, Arm(("rl",)), PAIR, RAW, "flops")[0].judging
    limit = limit_of(look.rewarded, look.imitated)
    assert limit is not None
    spread = SIGMA * np.sqrt(100.0 * share)

    def excess(policy: np.ndarray) -> float:
        losses = -(problem.expert * np.log(policy)).sum(1)[1::2]
        found = limit.excess(losses, (policy * problem.reward).sum(1)[1::2])
        assert found is not None
        return float(found.mean())

    path = drift(problem, 100.0 * share)
    noisy = [excess(softmax(path + spread * rng.normal(size=path.shape))) for _ in range(60)]
    return float(np.mean(noisy)) - excess(softmax(path))


def test_B8_the_seed_average_finds_what_noise_adds() -> None:
    """And a path without noise has nothing but it: no rest."""
    found, truth = split("clean"), true_noise(0.8)
    assert isinstance(found.noise, Estimate) and found.noise.value == pytest.approx(truth, rel=0.15)
    assert isinstance(found.equal_reward, Estimate) and found.equal_reward.value == pytest.approx(truth, rel=0.25)
    assert isinstance(found.rest, Estimate) and abs(found.rest.value) < 0.25 * truth
    assert found.noise_is_all


def test_what_is_only_late_gains_nothing_at_equal_reward() -> None:
    """All that it has less at the same step is lag; its own noise, once it is merged too, leaves nothing to explain."""
    found, truth = split("late", merge_averages=True), true_noise(0.8)
    assert isinstance(found.same_step, Estimate) and isinstance(found.lag, Estimate)
    assert isinstance(found.equal_reward, Estimate)
    assert found.same_step.value == pytest.approx(found.lag.value + found.equal_reward.value)
    assert abs(found.equal_reward.value) < 0.15 * truth and found.lag.sign == found.same_step.sign != 0
    assert not found.noise_is_all
    assert isinstance(found.noise, Estimate) and abs(found.noise.value) < 0.25 * truth
    unknown = split("late")
    assert isinstance(unknown.rest, Estimate) and unknown.rest.value == pytest.approx(-truth, rel=0.3)


def test_what_lies_off_the_way_is_the_rest() -> None:
    found = split("clean and better")
    assert isinstance(found.rest, Estimate) and found.rest.lower > 0.0
    assert isinstance(found.equal_reward, Estimate) and isinstance(found.noise, Estimate)
    assert found.equal_reward.value == pytest.approx(found.noise.value + found.rest.value)


def test_an_average_with_more_reward_than_raw_weights_ever_have_is_read_where_it_comes_to_the_most_of_theirs() -> None:
    """There the run is at its end and has all of its noise; that the average is ahead is a lag below 0."""
    found, truth = split("ahead"), true_noise(1.0)
    assert isinstance(found.equal_reward, Estimate) and found.equal_reward.value == pytest.approx(truth, rel=0.25)
    assert isinstance(found.noise, Estimate) and found.noise.value == pytest.approx(truth, rel=0.15)
    assert isinstance(found.same_step, Estimate) and isinstance(found.lag, Estimate)
    assert found.lag.upper < 0.0
    assert found.same_step.value == pytest.approx(found.lag.value + found.equal_reward.value)


def test_the_line_has_no_step_of_its_own() -> None:
    found = split("clean", LINE)
    assert found.same_step is None and found.lag is None and isinstance(found.equal_reward, Estimate)
    assert isinstance(found.rest, Estimate)


def test_parts_without_a_crossing_or_a_referee_are_not_told() -> None:
    gain = Gain(0.3, 0.1, 0.5)
    few = Unresolved("few")
    crossed = split_over_runs(AVERAGED, [[gain, gain], [gain, gain]], [0.2, few], [0.0, 0.0], True)
    assert isinstance(crossed.equal_reward, Estimate) and crossed.noise == crossed.rest == few
    missing = split_over_runs(AVERAGED, [[gain, few], [gain, Unresolved("none")]], [0.2, 0.2], [0.0, 0.0], True)
    assert missing.equal_reward == missing.lag == Unresolved("few; none")
    one = split_over_runs(AVERAGED, [[gain]], [0.2], [0.0], True)
    assert isinstance(one.noise, Unresolved)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1.0, 1.0, 1.0], [5.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
def test_B8_noise_is_found_whatever_the_shares_of_the_mean(weights: list[float]) -> None:
    """Squared distance from the drift, which is 1, of runs with noise of variance .5 in six directions: c is 3."""
    rng, shares = np.random.default_rng(0), np.array(weights) / np.sum(weights)
    found = []
    for _ in range(4000):
        runs = rng.normal(size=(len(shares), 6)) * np.sqrt(0.5)
        runs[:, 0] += 1.0
        found.append(noise_from_ends((runs**2).sum(1).tolist(), shares.tolist(), float(((shares @ runs) ** 2).sum())))
    assert np.mean(found) == pytest.approx(3.0, abs=4 * np.std(found) / np.sqrt(len(found)))


def test_a_merge_by_shares_is_a_referee_of_as_much() -> None:
    """The same ends merged 5 : 1 : 1 leave more of the noise, and find the same c."""
    records = [world(seed, "clean", weights=[5.0, 1.0, 1.0]) for seed in range(RUNS)]
    assert {merge.shares for record in records for merge in merges_of(record)} == {(5 / 7, 1 / 7, 1 / 7)}
    found = next(row for row in splits_of(records, PAIR) if row.weights == AVERAGED)
    assert isinstance(found.noise, Estimate) and found.noise.value == pytest.approx(true_noise(0.8), rel=0.2)


def without(record: MemoryRecord, weights: str) -> MemoryRecord:
    stages = (
        replace(stage, measurements=tuple(item for item in stage.measurements if item.point.weights != weights))
        for stage in record.stages
    )
    return replace(record, stages=tuple(stages))


def test_why_parts_are_not_told_is_said() -> None:
    record = world(0, "clean")
    split = split_over_runs(AVERAGED, [[gain_of(without(record, AVERAGED), ARM, PAIR, AVERAGED)]], [0.0], [0.0], True)
    assert split.lag == Unresolved("in a run averaged weights were not measured all along an arm")
    gone = gain_of(without(record, LINE), ARM, PAIR, LINE)
    assert gone == Unresolved("in a run places of the line were not measured all along an arm")
    problem = problem_of(0)
    back = Stage({0: problem.reference, 10: softmax(drift(problem, -10))}, kind="hybrid", name="rl",
                 averaged={10: softmax(drift(problem, 10))}, options={"start_from": "sft"},
                 spent={10: {"tokens": 1.0}})  # fmt: skip
    never = gain_of(make_record(problem, start(problem), back), ARM, PAIR, AVERAGED)
    assert never == Unresolved("in a run raw weights never cross the reward that is compared at from below")
    unknown = replace(record, heldout={TASK: replace(record.heldout[TASK], expert_is_known=False)})
    assert gain_of(unknown, ARM, PAIR, AVERAGED) == NO_FRONT
    (referee,) = merges_of(record)
    assert noise_of(unknown, referee, PAIR) == NO_FRONT
    bare = replace(record.stages[-1], measurements=())
    unmeasured = noise_of(replace(record, stages=(*record.stages[:-1], bare)), referee, PAIR)
    assert unmeasured == Unresolved("in a run merge-mean was not measured")


def test_a_merge_that_one_run_has_not_finished_is_no_referee() -> None:
    one, other = world(0, "clean"), world(1, "clean")
    undone = replace(other, stages=(*other.stages[:-1], replace(other.stages[-1], finished=False)))
    assert splits_of([one, other], PAIR) and not splits_of([one, undone], PAIR)
    assert not splits_of([one, replace(other, stages=other.stages[:-1])], PAIR)


def test_runs_that_are_not_alike_are_no_referee() -> None:
    record = world(0, "late")
    assert [found.weights for found in merges_of(record)] == [RAW]
    record.stages[1].options["learning_rate"] = 1.0
    assert not list(merges_of(record)) and not splits_of([record], PAIR)
