"""A5: the sign of a whole stage's change, and what a perfect expert means."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.analysis.place import EnumeratedStart, SampledStart
from interlace.analysis.summary import HOLDS, NOT_RESOLVED, OUTSIDE
from interlace.analysis.verdicts.threshold import perfect_expert_fall, threshold
from interlace.estimate import Unresolved
from interlace.theory.distributional import non_decoupling_threshold, perfect_expert_limit
from interlace.theory.finite import FiniteProblem
from tests.analysis.test_parity import of_law, one_kind
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


@pytest.mark.parametrize(("time", "sign"), [(2.0, -1), (7.0, 1)])
def test_the_sign_turns_at_the_threshold(rng, time, sign):
    problem = binary_problem(rng)
    assert 2.0 < non_decoupling_threshold(problem) < 7.0
    (verdict,) = of_law(summarise(make_record(problem, Stage(tilted_run(problem, [0.0, time])))), "A5")
    assert verdict.verdict == HOLDS
    assert verdict.prediction.sign == verdict.measurement.sign == sign
    assert "the threshold is" in verdict.conditions[1]


@pytest.mark.usefixtures("unchecked")
def test_the_thresholds_interval_covers_its_value_over_prompts(rng):
    population = binary_problem(rng, prompts=40)
    truth, covered, trials = non_decoupling_threshold(population), 0, 300
    for _ in range(trials):
        rows = rng.integers(40, size=100)
        equal = np.full(100, 0.01)
        sample = FiniteProblem(equal, population.reference[rows], population.expert[rows], population.reward[rows])
        covered += threshold(EnumeratedStart(sample)).covers(truth)
    assert 0.91 <= covered / trials <= 0.985  # 2.5 standard errors about .95


def test_a_perfect_expert_is_told_that_the_analysis_predicts_no_harm(rng):
    problem = one_kind(rng, (1, 1, 0), (0.8, 0.01, 0.19), (0, 1, 0))
    (verdict,) = of_law(summarise(make_record(problem, Stage(softmax_gradient_run(problem, 1.0, 6)))), "A5")
    assert verdict.verdict == OUTSIDE
    assert verdict.prediction.sign == -1 and verdict.measurement.sign == 1
    assert "predicts no harm" in verdict.sentence and "off the law's path" in verdict.sentence
    fall = perfect_expert_fall(EnumeratedStart(problem))
    assert fall.value == pytest.approx(perfect_expert_limit(problem))
    assert str(fall) in verdict.sentence
    assert "infinite" in verdict.conditions[1]


def test_a_fallible_expert_has_no_such_sentence(rng):
    problem = binary_problem(rng)
    assert perfect_expert_fall(EnumeratedStart(problem)) is None


def test_a_start_above_the_expert_has_threshold_0(rng):
    problem = binary_problem(rng, skill=0.8, expert_reward=0.6)
    assert threshold(EnumeratedStart(problem)).value == 0.0
    (verdict,) = of_law(summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 1.0])))), "A5")
    assert verdict.verdict == HOLDS and verdict.measurement.sign == 1


def test_a_reward_that_fell_has_no_rl_time(rng):
    problem = binary_problem(rng)
    (verdict,) = of_law(summarise(make_record(problem, Stage(tilted_run(problem, [0.0, -1.0])))), "A5")
    assert verdict.verdict == OUTSIDE and "the reward fell" in verdict.sentence


def test_a_reward_that_stood_still_is_not_resolved(rng):
    problem = binary_problem(rng)
    noisy = problem.reference * np.exp(0.3 * rng.normal(size=problem.reference.shape))
    still = noisy / noisy.sum(axis=1, keepdims=True)
    (verdict,) = of_law(summarise(make_record(problem, Stage({0: problem.reference, 10: still}))), "A5")
    assert verdict.verdict == NOT_RESOLVED


def test_sampled_rewards_have_no_threshold():
    assert isinstance(threshold(SampledStart(np.array([[0.0, 1.0]]))), Unresolved)
