from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.partition import effective_samples, mean_log_partition, sampled_log_partition

from .simulation import coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(rng, a, b, shape):
    """Binary rewards of `shape` = (..., prompt, sample), pass rates Beta(a, b)."""
    return (rng.random(shape) < rng.beta(a, b, size=(*shape[:-1], 1))) * 1.0


def truth(a, b, rl_time):
    passes = np.random.default_rng(1).beta(a, b, size=400_000)
    return float(np.log1p(passes * math.expm1(rl_time)).mean())


def test_C4_jackknife_is_leave_one_out(rng):
    rewards, rl_time = rng.normal(size=(3, 5)), 0.7
    weights = np.exp(rl_time * rewards)
    plain = np.log(weights.mean(axis=1))
    left_out = np.array([np.log(np.delete(weights, k, axis=1).mean(axis=1)) for k in range(5)]).mean(axis=0)
    assert np.allclose(sampled_log_partition(rewards, rl_time), 5 * plain - 4 * left_out)
    assert np.allclose(effective_samples(rewards, rl_time), weights.sum(1) ** 2 / (weights**2).sum(1))


def test_C4_bias_of_the_plain_estimate_and_of_the_jackknife(rng):
    """Plain: low by X2(pi_tau, reference) / (2 K). Jackknifed: a tenth of that at most."""
    num_samples, rl_time, passes = 16, 1.0, 0.3
    rewards = (rng.random((100_000, num_samples)) < passes) * 1.0
    exact = math.log1p(passes * math.expm1(rl_time))
    chi_square = (1 + passes * math.expm1(2 * rl_time)) / math.exp(2 * exact) - 1
    plain = np.log(np.exp(rl_time * rewards).mean(axis=1)).mean() - exact
    assert plain == pytest.approx(-chi_square / (2 * num_samples), rel=0.15)
    assert abs(sampled_log_partition(rewards, rl_time).mean() - exact) < 0.1 * abs(plain)
    assert effective_samples(rewards, rl_time).mean() == pytest.approx(num_samples / (1 + chi_square), rel=0.05)


@pytest.mark.parametrize(("num_samples", "rl_time"), [(8, 1.0), (32, 3.0)])
def test_C4_interval_covers(rng, num_samples, rl_time):
    samples = draw(rng, 2.0, 2.0, (1000, 48, num_samples))
    figures = [mean_log_partition(rewards, rl_time) for rewards in samples]
    assert is_nominal(coverage(figures, truth(2.0, 2.0, rl_time)))


@pytest.mark.parametrize("rl_time", [5.0, 8.0])
def test_C4_is_seldom_printed_and_wrong_where_right_answers_are_rare(rng, rl_time):
    figures = [mean_log_partition(rewards, rl_time) for rewards in draw(rng, 0.3, 2.0, (400, 256, 16))]
    exact = truth(0.3, 2.0, rl_time)
    assert np.mean([isinstance(figure, Estimate) and not figure.covers(exact) for figure in figures]) <= 0.08


def test_C4_refuses_and_says_what_to_do(rng):
    rewards = draw(rng, 0.3, 2.0, (256, 8))
    few = mean_log_partition(rewards, 6.0)
    assert isinstance(few, Unresolved)
    assert few.reason.endswith(
        "effective samples a prompt at RL time 6, 4 are needed: sample more than 8 responses a prompt"
    )
    moved = mean_log_partition(rewards, 6.0, minimum_effective_samples=1.0)
    assert isinstance(moved, Unresolved) and moved.reason.startswith("half the samples move log Z at RL time 6 by ")
    unreadable = mean_log_partition(np.where(rewards == 1.0, np.nan, rewards), 1.0)
    assert isinstance(unreadable, Unresolved) and "not finite" in unreadable.reason
    with pytest.raises(ValueError, match=r"rewards must hold at least 2 samples a prompt\. Got 1"):
        sampled_log_partition(rewards[:, :1], 1.0)


@pytest.mark.parametrize("rl_time", [-3.0, 0.0, 3.0])
def test_C4_constant_rewards_need_no_samples(rl_time):
    figure = mean_log_partition(np.full((10, 4), 0.5), rl_time)
    assert figure.value == pytest.approx(0.5 * rl_time) and "4.0 effective samples" in figure.method


def test_C4_does_not_overflow():
    rewards = np.array([[0.0, 1e3, 1e3, 0.0]] * 2)
    assert sampled_log_partition(rewards, 10.0)[0] == pytest.approx(1e4, rel=1e-3)
