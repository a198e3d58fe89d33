"""A10 and A11: the parts add up, are those of enumeration, and their intervals cover."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.place import EnumeratedStart, Place, SampledStart, place, tilting_start
from interlace.analysis.trajectory import read_trajectory
from interlace.estimate import Unresolved
from interlace.measurement import RAW
from interlace.statistics import mean_interval
from interlace.theory.distributional import split_right_wrong, split_tilt_off_path
from interlace.theory.distributional.tilt import log_partition, tilted_policy
from interlace.theory.finite import FiniteProblem
from tests.analysis.worlds import TASK, Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


@pytest.fixture
def problem(rng):
    return binary_problem(rng)


def test_A11_parts_add_up_and_are_those_of_enumeration(problem):
    run = softmax_gradient_run(problem, 3.0, 4)
    stage = summarise(make_record(problem, Stage(run))).stages["rl"]
    truth, split = split_right_wrong(problem, run[4]), stage.split["raw"]
    assert split.right.value == pytest.approx(truth.right, abs=1e-12)
    assert split.wrong.value == pytest.approx(truth.wrong, abs=1e-12)
    assert split.right.value + split.wrong.value == pytest.approx(stage.sft_loss.change.value, abs=1e-9)


def test_A10_parts_add_up_and_are_those_of_enumeration(problem):
    run = softmax_gradient_run(problem, 3.0, 4)
    stage = summarise(make_record(problem, Stage(run))).stages["rl"]
    truth, split = split_tilt_off_path(problem, run[4]), stage.split["raw"]
    assert split.tilt.value == pytest.approx(truth.tilt, abs=1e-9)
    assert split.off_path.value == pytest.approx(truth.off_path, abs=1e-9)
    assert split.rl_time.value == pytest.approx(truth.rl_time, rel=1e-9)
    assert split.tilt.value + split.off_path.value == pytest.approx(stage.sft_loss.change.value, abs=1e-9)


def test_on_the_path_the_off_path_part_is_0_at_any_time(problem):
    for time in (-1.0, 0.3, 5.0):
        split = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, time])))).stages["rl"].split["raw"]
        assert abs(split.off_path.value) < 1e-9 and split.off_path.upper < 1e-9
        assert split.rl_time.value == pytest.approx(time)


@pytest.mark.parametrize("prompt", [0, 17])
def test_influences_are_derivatives_by_a_prompts_weight(problem, prompt):
    policy = softmax_gradient_run(problem, 3.0, 4)[4]
    record = make_record(problem, Stage({0: problem.reference, 10: policy}))
    trajectory = read_trajectory(record, "01-rl", TASK, RAW)
    end = place(trajectory, tilting_start(trajectory), trajectory.end)
    assert isinstance(end, Place)
    count, step = problem.prompts.size, 1e-6
    weights = problem.prompts * (1.0 - step) + step * np.eye(count)[prompt]
    moved = split_tilt_off_path(dataclasses.replace(problem, prompts=weights), policy)
    for name, values in (("tilt", end.tilt), ("off_path", end.off_path), ("rl_time", end.time)):
        derivative = (getattr(moved, name) - values.mean()) / step
        assert values[prompt] - values.mean() == pytest.approx(derivative, rel=1e-3, abs=1e-4)


def test_sft_stages_have_no_tilt(problem):
    stage = Stage(tilted_run(problem, [0.0, 1.0]), kind="sft")
    split = summarise(make_record(problem, stage)).stages["sft"].split["raw"]
    assert isinstance(split.tilt, Unresolved) and "RL stages" in split.tilt.reason
    assert split.right.sign != 0


def test_a_reward_of_other_values_has_no_right_and_wrong(problem):
    graded = dataclasses.replace(problem, reward=problem.reward * np.linspace(0.5, 1.0, 5))
    split = summarise(make_record(graded, Stage(tilted_run(graded, [0.0, 1.0])))).stages["rl"].split["raw"]
    assert isinstance(split.right, Unresolved) and "binary" in split.right.reason
    assert abs(split.off_path.value) < 1e-9


def test_a_reward_that_no_tilt_earns_is_said(problem):
    certain = np.zeros_like(problem.reference)
    certain[:, 0] = 1.0 - 4e-9
    certain[:, 1:] = 1e-9
    perfect = np.where(problem.reward == 1.0, certain, 0.0)
    perfect /= perfect.sum(axis=1, keepdims=True)
    kept = dataclasses.replace(problem, expert=np.where(problem.reward == 1.0, 0.5, 0.0))
    split = summarise(make_record(kept, Stage({0: kept.reference, 10: perfect}))).stages["rl"].split["raw"]
    assert split.off_path == Unresolved("no tilt of the stage's start earns reward 1")


# ------------------------------------------------------------------------------------------------------------ coverage


def _population(rng: np.random.Generator, kinds: int = 40) -> tuple[FiniteProblem, np.ndarray]:
    """Kinds of prompts, and a policy that went off the path differently on each."""
    problem = binary_problem(rng, prompts=kinds, skill=0.35)
    tilted = tilted_policy(problem, 1.2)
    noisy = tilted * np.exp(rng.normal(0.0, 0.25, size=tilted.shape))
    return problem, noisy / noisy.sum(axis=1, keepdims=True)


def _drawn(problem: FiniteProblem, rows: np.ndarray) -> FiniteProblem:
    equal = np.full(rows.size, 1.0 / rows.size)
    return FiniteProblem(equal, problem.reference[rows], problem.expert[rows], problem.reward[rows])


@pytest.mark.usefixtures("unchecked")
def test_A10_intervals_cover_the_prompt_populations_truth():
    rng = np.random.default_rng(11)
    problem, policy = _population(rng)
    truth = split_tilt_off_path(problem, policy)
    covered, trials = np.zeros(3), 500
    for _ in range(trials):
        rows = rng.integers(problem.prompts.size, size=250)
        sample = _drawn(problem, rows)
        record = make_record(sample, Stage({0: sample.reference, 10: policy[rows]}))
        trajectory = read_trajectory(record, "01-rl", TASK, RAW)
        end = place(trajectory, tilting_start(trajectory), trajectory.end)
        assert not isinstance(end, Unresolved)
        figures = [mean_interval(values, unit="nats") for values in (end.tilt, end.off_path, end.time)]
        values = (truth.tilt, truth.off_path, truth.rl_time)
        covered += [figure.covers(value) for figure, value in zip(figures, values, strict=True)]
    assert ((covered / trials >= 0.93) & (covered / trials <= 0.97)).all(), covered / trials


# ------------------------------------------------------------------------------------------------- sampled rewards (C4)


def test_a_sampled_start_converges_to_the_enumerated_one(problem, rng):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 1.0])), samples=4000)
    trajectory = read_trajectory(record, "01-rl", TASK, RAW)
    sampled, enumerated = tilting_start(trajectory), EnumeratedStart(problem)
    assert isinstance(sampled, SampledStart)
    assert sampled.log_partition(1.0) == pytest.approx(log_partition(problem, 1.0), abs=0.05)
    assert sampled.tilted_reward(1.0) == pytest.approx(enumerated.tilted_reward(1.0), abs=0.05)
    assert sampled.tilted_variance(1.0) == pytest.approx(enumerated.tilted_variance(1.0), rel=0.05)
    assert sampled.matching_time(0.5) == pytest.approx(enumerated.matching_time(0.5), rel=0.05)


def test_a_sampled_starts_reward_is_the_derivative_of_its_log_partition(rng):
    start = SampledStart(rng.integers(0, 2, size=(20, 8)).astype(float))
    slope = (start.log_partition(0.7 + 1e-5) - start.log_partition(0.7 - 1e-5)) / 2e-5
    assert start.tilted_reward(0.7) == pytest.approx(slope, abs=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_sampled_rewards_give_the_split_with_little_bias(rng):
    """Mean over repetitions: the jackknife leaves the off-path part near 0 on the path, where plain log Z would not."""
    problem = binary_problem(rng, prompts=300)
    off_path = []
    for seed in range(20):
        record = make_record(problem, Stage(tilted_run(problem, [0.0, 1.5])), samples=16, seed=seed)
        trajectory = read_trajectory(record, "01-rl", TASK, RAW)
        end = place(trajectory, tilting_start(trajectory), trajectory.end)
        assert isinstance(end, Place)
        off_path.append(end.off_path.mean())
    assert abs(np.mean(off_path)) < 3 * np.std(off_path, ddof=1) / np.sqrt(20) + 0.005


def test_too_few_samples_for_the_tilt_are_refused(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 5.0])), samples=6)
    split = summarise(record).stages["rl"].split["raw"]
    assert isinstance(split.off_path, Unresolved) and "effective samples" in split.off_path.reason
