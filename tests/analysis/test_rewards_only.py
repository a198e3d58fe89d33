"""C7: what rewards alone predict, against what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.passage import Passage
from interlace.analysis.reward_only import beyond_rewards, predicted_change, trapezoid_error
from interlace.analysis.summary import HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.trajectory import read_trajectory
from interlace.measurement import RAW
from interlace.statistics import prompt_weights
from interlace.theory.distributional import sft_loss_increase
from interlace.theory.finite import FiniteProblem, expected_reward, reward_variance, sft_loss
from interlace.theory.paths import reward_only_sft_change
from tests.analysis.test_parity import of_law
from tests.analysis.worlds import TASK, Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


def passage(record, resamples=1000):
    trajectory = read_trajectory(record, "01-rl", TASK, RAW)
    resample = prompt_weights(np.random.default_rng(3), trajectory.held.num_prompts, resamples)
    return Passage(record.stages[0], trajectory, resample)


def enumerated_prediction(problem, run):
    rewards, variances = (np.array([f(problem, p) for p in run.values()]) for f in (expected_reward, reward_variance))
    return reward_only_sft_change(rewards, variances, problem.expert_reward)[-1]


def test_the_prediction_is_the_trapezoid_of_the_enumerated_rewards(rng):
    problem = binary_problem(rng)
    run = softmax_gradient_run(problem, 2.0, 5)
    expected = enumerated_prediction(problem, run)
    assert predicted_change(passage(make_record(problem, Stage(run)))).value == pytest.approx(expected)


def test_it_holds_on_the_path_within_the_trapezoids_error(rng):
    problem = binary_problem(rng)
    times = np.linspace(0.0, 3.0, 11)
    record = make_record(problem, Stage(tilted_run(problem, times)))
    (verdict,) = of_law(summarise(record), "C7")
    assert verdict.verdict == HOLDS
    error = abs(predicted_change(passage(record)).value - sft_loss_increase(problem, 3.0))
    assert trapezoid_error(passage(record)) == pytest.approx(error, rel=0.2)


def test_off_the_path_the_gap_is_reported_not_called_a_contradiction(rng):
    problem = binary_problem(rng)
    (verdict,) = of_law(summarise(make_record(problem, Stage(softmax_gradient_run(problem, 3.0, 12)))), "C7")
    assert verdict.verdict == OUTSIDE
    assert "off-path part" in verdict.conditions[1]


def test_steps_too_far_apart_decide_nothing(rng):
    problem = binary_problem(rng)
    (verdict,) = of_law(summarise(make_record(problem, Stage(softmax_gradient_run(problem, 20.0, 12)))), "C7")
    assert verdict.verdict == NOT_RESOLVED


def test_two_measured_steps_are_too_few(rng):
    problem = binary_problem(rng)
    (verdict,) = of_law(summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 5.0])))), "C7")
    assert verdict.verdict == NOT_RESOLVED and "too few" in verdict.sentence


def test_no_variance_left_is_unresolved(rng):
    problem = binary_problem(rng)
    sure = np.zeros_like(problem.reference)
    sure[:, 0] = 1.0
    prediction = predicted_change(passage(make_record(problem, Stage({0: problem.reference, 10: sure}))))
    assert prediction.sign == 0 and "not resolved" in str(prediction)


@pytest.mark.usefixtures("unchecked")
def test_the_gaps_interval_covers_the_prompt_populations_gap(rng):
    population = binary_problem(rng, prompts=40, skill=0.4)
    run = softmax_gradient_run(population, 6.0, 6)
    predicted = enumerated_prediction(population, run)
    truth = sft_loss(population, run[6]) - sft_loss(population, run[0]) - predicted
    covered, trials = 0, 300
    for _ in range(trials):
        rows = rng.integers(40, size=120)
        equal = np.full(120, 1 / 120)
        sample = FiniteProblem(equal, population.reference[rows], population.expert[rows], population.reward[rows])
        record = make_record(sample, Stage({step: policy[rows] for step, policy in run.items()}))
        covered += beyond_rewards(passage(record, resamples=400)).covers(truth)
    assert 0.92 <= covered / trials <= 0.975, covered / trials
