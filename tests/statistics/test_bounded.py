"""Levels of reward: coverage near the ends of the range and in the middle, and never certainty from samples."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.statistics import bounded, intervals
from interlace.statistics.rates import rate_interval

from .simulation import REPEATS, coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def level(values, is_exact=False):
    return bounded.bounded_mean_interval(values, 0.0, 1.0, unit="reward units", is_exact=is_exact)


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.mark.parametrize("prompts", [128, 512])
@pytest.mark.parametrize("rate", [0.02, 0.5, 0.98])
def test_it_covers_one_binary_reward_a_prompt(rng, rate, prompts):
    rows = (rng.random((REPEATS, prompts)) < rate).astype(float)
    assert is_nominal(coverage([level(row) for row in rows], rate))


@pytest.mark.parametrize("prompts", [128, 512])
@pytest.mark.parametrize(("right", "wrong"), [(1.0, 1.0), (3.0, 7.0), (0.04, 1.96), (1.96, 0.04)])
def test_it_covers_groups_of_eight(rng, right, wrong, prompts):
    """Pass rates vary between prompts (Beta), a little or so much that most prompts are always wrong."""
    rows = sampled(rng, right, wrong, prompts)
    assert is_nominal(coverage([level(row) for row in rows], right / (right + wrong)))


@pytest.mark.parametrize("likeness", [1e6, 0.3])
def test_it_covers_sixteen_groups_of_eight(rng, likeness):
    """On average over rates 93 to 97 %, at each 90 %: pass rates do not vary (1e6), or most are near 0 or 1 (.3)."""
    shares = []
    for rate in (0.05, 0.2, 0.5, 0.9):
        rows = sampled(rng, likeness * rate, likeness * (1 - rate), 16)[: REPEATS // 2]
        shares.append(coverage([level(row) for row in rows], rate))
    assert is_nominal(np.mean(shares)) and min(shares) >= 0.90


@pytest.mark.parametrize("prompts", [128, 512])
@pytest.mark.parametrize("spread", [1.0, 10.0, 100.0])
def test_it_covers_a_rate_of_a_five_hundredth(rng, spread, prompts):
    """Two or eight right answers in all: too few for a discrete distribution to reach its level exactly."""
    rows = sampled(rng, 0.002 * spread, 0.998 * spread, prompts)
    assert coverage([level(row) for row in rows], 0.002) >= 0.93


@pytest.mark.parametrize("prompts", [128, 512])
@pytest.mark.parametrize(("right", "wrong"), [(2.0, 2.0), (8.0, 0.5), (0.2, 9.8), (19.6, 0.4), (1.0, 1000.0)])
def test_it_covers_smooth_enumerated_pass_rates(rng, right, wrong, prompts):
    rows = rng.beta(right, wrong, size=(REPEATS, prompts))
    share = coverage([level(row, is_exact=True) for row in rows], right / (right + wrong))
    assert is_nominal(share) or (share > 0.97 and right / (right + wrong) < 0.005)


@pytest.mark.parametrize("likeness", [1e6, 4.0, 0.3])
@pytest.mark.parametrize("prompts", [16, 32])
def test_it_covers_enumerated_pass_rates_that_few_prompts_carry(rng, likeness, prompts):
    """On average over rates 93 to 97 %, at each 90 %; and where sixteen prompts of mean .02 hold hardly a 1."""
    shares = []
    for rate in (0.05, 0.1, 0.35, 0.65, 0.9, 0.95):
        rows = rng.beta(likeness * rate, likeness * (1 - rate), size=(1000, prompts))
        shares.append(coverage([level(row, is_exact=True) for row in rows], rate))
    assert is_nominal(np.mean(shares)) and min(shares) >= 0.90
    rare = rng.beta(0.3 * 0.02, 0.3 * 0.98, size=(1000, prompts))
    assert coverage([level(row, is_exact=True) for row in rare], 0.02) >= 0.93


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_enumerated_prompts_at_one_end_do_not_say_that_all_are(end):
    figure = level(np.full(16, end), is_exact=True)
    assert 0.0 <= figure.lower < figure.upper <= 1.0 and figure.upper - figure.lower > 0.1


def sampled(rng, right, wrong, prompts):
    return rng.binomial(8, rng.beta(right, wrong, size=(REPEATS, prompts))) / 8.0


# -------------------------------------------------------------------------------------------------------------- values


def test_binary_prompts_have_wilsons_interval():
    values = np.repeat([1.0, 0.0], [490, 10])
    ours, wilson = level(values), rate_interval(490, 500)
    assert (ours.lower, ours.upper) == pytest.approx((wilson.lower, wilson.upper), abs=2e-4)


def test_smooth_values_in_the_middle_have_students_interval(rng):
    values = 0.5 + 0.02 * rng.standard_normal(200)
    ours, student = level(values, is_exact=True), intervals.mean_interval(values, unit="")
    assert (ours.lower, ours.upper) == pytest.approx((student.lower, student.upper), abs=1e-5)


@pytest.mark.parametrize("rewards", [[0.0] * 8, [1.0] * 8, [0.5] * 8, [1.0] * 7 + [0.0]])
def test_samples_never_give_certainty_and_never_leave_the_range(rewards):
    figure = level(np.array(rewards))
    assert 0.0 <= figure.lower < figure.upper <= 1.0


def test_another_range_is_the_same_interval_rescaled(rng):
    values = rng.binomial(8, 0.9, size=64) / 8.0
    ours = level(values)
    moved = bounded.bounded_mean_interval(4.0 * values - 1.0, -1.0, 3.0, unit="", is_exact=False)
    assert (moved.lower, moved.upper) == pytest.approx((4.0 * ours.lower - 1.0, 4.0 * ours.upper - 1.0))


def test_enumerated_prompts_that_are_all_equal_are_known_to_be():
    figure = level(np.full(10, 0.75), is_exact=True)
    assert (figure.lower, figure.upper) == (0.75, 0.75) and figure.method.endswith("; no variation between prompts")


def test_a_range_of_no_width_is_refused():
    with pytest.raises(ValueError, match=r"low must be less than high\. Got \[1\.0, 1\.0\]"):
        bounded.bounded_mean_interval(np.ones(4), 1.0, 1.0, unit="", is_exact=True)


# --------------------------------------------------------------------------------------------------- changes of reward


@pytest.mark.parametrize(("prompts", "likeness"), [(16, 4.0), (64, 0.3)])
def test_a_change_is_printed_only_where_it_covers(rng, prompts, likeness):
    """Pass rates before and after a tilt by 1/2; unequal prompts seldom change."""

    def tilt(rates):
        return rates * np.e**0.5 / (1 + rates * np.expm1(0.5))

    figures, truths = [], []
    for rate in (0.05, 0.2, 0.5, 0.9):
        before = rng.beta(likeness * rate, likeness * (1 - rate), size=(500, prompts))
        many = rng.beta(likeness * rate, likeness * (1 - rate), size=400_000)
        pairs = zip(rng.binomial(8, before) / 8, rng.binomial(8, tilt(before)) / 8, strict=True)
        figures += [bounded.sampled_change(b, a, unit="") for b, a in pairs]
        truths += [float((tilt(many) - many).mean())] * 500
    printed = [(figure, truth) for figure, truth in zip(figures, truths, strict=True) if isinstance(figure, Estimate)]
    assert np.mean([figure.covers(truth) for figure, truth in printed]) >= 0.93


def test_a_change_of_few_prompts_is_not_printed():
    before, after = np.zeros(20), np.repeat([0.5, 0.0], [7, 13])
    figure = bounded.sampled_change(before, after, unit="reward units")
    assert isinstance(figure, Unresolved) and figure.reason.startswith("7 of 20 prompts changed, 8 are needed: ")
    after[7] = -0.5
    assert bounded.sampled_change(before, after, unit="") == intervals.paired_change(before, after, unit="")
    assert bounded.sampled_change(before[:1], after[:1], unit="") == Unresolved(
        "an interval needs at least 12 prompts, got 1"
    )


# ---------------------------------------------------------------------------------------------------- levels of reward


def test_enumerated_rewards_tell_their_range():
    rewards = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    means = np.array([1.99, 1.9, 2.0])
    figure = bounded.reward_interval(means, rewards, is_exact=True)
    assert figure == bounded.bounded_mean_interval(means, 0.0, 2.0, unit="reward units", is_exact=True)
    assert figure.upper <= 2.0


def test_sampled_rewards_of_0_and_1_are_binary():
    rewards = np.zeros((128, 8))
    figure = bounded.reward_interval(rewards.mean(axis=1), rewards, is_exact=False)
    assert (figure.lower, figure.unit) == (0.0, "reward units") and figure.upper > 0.0


def test_sampled_rewards_of_unknown_range_have_students_interval_or_none(rng):
    rewards = rng.normal(size=(50, 4))
    means = rewards.mean(axis=1)
    expected = intervals.mean_interval(means, unit="reward units")
    assert bounded.reward_interval(means, rewards, is_exact=False) == expected
    same = np.full((50, 4), -1.5)
    reason = "every prompt's sampled reward is -1.5, and the reward's range is not known"
    assert bounded.reward_interval(same.mean(axis=1), same, is_exact=False) == Unresolved(reason)


def test_no_reward_anywhere_is_known_where_it_is_enumerated():
    figure = bounded.reward_interval(np.zeros(5), np.zeros((5, 1)), is_exact=True)
    assert isinstance(figure, Estimate) and figure.lower == figure.upper == 0.0


@pytest.mark.parametrize("values", [np.ones(1), np.array([np.nan, 1.0])])
def test_what_a_mean_refuses_is_refused(values):
    assert bounded.bounded_mean_interval(values, 0.0, 1.0, unit="", is_exact=False) == intervals.mean_interval(
        values, unit=""
    )
