"""Steps told by pilots: closed forms, coverage for another run, and GRPO with Adam on a small softmax policy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import Pilots
from interlace.forecasting.pilots import HORIZON, POWERS

STEPS = np.arange(1.0, 21.0)


def exponential(rng, count, share=0.02, scatter=0.0, overshoot=0.1, start=0.5, steps=STEPS):
    """Runs whose missing reward shrinks by `share` a step about which they scatter, after a first step too long."""
    level = scatter * rng.normal(size=(count, 1)) + 0.3 * scatter * rng.normal(size=(count, steps.size))
    return 1.0 - (1.0 - start) * np.exp(level - share * steps) - overshoot * (steps < 3)


@pytest.mark.parametrize(("index", "power"), list(enumerate(POWERS)))
def test_of_an_exact_course_steps_are_in_closed_form(index, power):
    rng, rate = np.random.default_rng(0), 0.3 / 20.0**power
    runs = np.tile(1.0 - 0.5 * np.exp(-rate * STEPS**power), (3, 1))
    pilots = Pilots(0.5, 0.0, 1.0, STEPS, runs)
    course = pilots.courses[index]
    assert course.mean == pytest.approx([np.log(0.5) - rate * 20.0**power, -rate])
    assert np.exp(course.log_left_at(60.0, rng)) == pytest.approx(0.5 * np.exp(-rate * 60.0**power))
    assert course.steps_to(np.log(0.35), rng) == pytest.approx((np.log(0.5 / 0.35) / rate) ** (1.0 / power))
    seen = pilots.steps_to(0.6, rng)
    assert isinstance(seen, Estimate) and seen.value == np.ceil((np.log(0.5 / 0.4) / rate) ** (1.0 / power))
    assert (seen.lower, seen.upper) == (max(1.0, seen.value - 0.5), seen.value + 0.5)  # a look a step


def test_gains_have_student_t_over_pilots():
    rng = np.random.default_rng(1)
    pilots = Pilots(0.5, 0.0, 1.0, STEPS, exponential(rng, 4, scatter=0.1))
    gains = pilots.rewards[:, -1] - 0.5
    expected = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    found = pilots.gain(-1)
    assert isinstance(found, Estimate) and (found.lower, found.upper) == pytest.approx(tuple(expected))
    first, time = pilots.gain(0), pilots.rl_time(0.2)
    assert isinstance(first, Estimate) and isinstance(time, Estimate) and time.value == pytest.approx(first.value / 0.2)
    slopes = [np.polyfit(STEPS[9:], run[9:], 1)[0] for run in pilots.rewards]
    rate = pilots.last_rate()
    assert isinstance(rate, Estimate) and rate.value == pytest.approx(np.mean(slopes))


def test_another_run_is_covered():
    """Of runs that scatter as assumed, the next one's reward and steps lie in their intervals at the level or above."""
    rng, rewards, steps = np.random.default_rng(2), [], []
    long = np.arange(1.0, 61.0)
    for _ in range(200):
        runs = exponential(rng, 5, scatter=0.06, steps=long)
        pilots = Pilots(0.5, 0.0, 1.0, STEPS, runs[:4, :20])
        later, to = pilots.reward_at(40.0, rng), pilots.steps_to(0.7, rng)
        rewards.append(isinstance(later, Estimate) and later.covers(runs[4, 39]))
        passed = np.flatnonzero(runs[4] >= 0.7)
        steps.append(isinstance(to, Estimate) and to.covers(float(long[passed[0]]) if passed.size else np.inf))
    assert np.mean(rewards) > 0.92 and np.mean(steps) > 0.88


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_grpo_with_adam_is_told_ahead(rate):
    """Four runs of 20 steps tell another's reward there, and of its 60th step's gain all but a third."""
    runs = np.stack([trained(np.random.default_rng([7, seed]), rate, 60) for seed in range(5)])
    pilots = Pilots(float(runs[0, 0]), 0.0, 1.0, STEPS, runs[:4, 1:21])
    now, later = (pilots.reward_at(step, np.random.default_rng(0)) for step in (20.0, 60.0))
    assert isinstance(now, Estimate) and isinstance(later, Estimate) and now.covers(runs[4, 20])
    gained = runs[4, 60] - pilots.start
    assert gained > 2.0 * (runs[4, 20] - pilots.start) and abs(later.value - runs[4, 60]) < gained / 3.0


def trained(rng, rate, steps, prompts=48, responses=4, features=12, group=8, asked=16):
    """Exact reward after 0 to `steps` Adam steps of GRPO; logits are linear in features that the prompts share."""
    shared = np.random.default_rng(3)
    inputs = shared.normal(size=(prompts, features)) / np.sqrt(features)
    right = shared.integers(responses, size=prompts)
    weights, first, second = shared.normal(size=(features, responses)), 0.0, 0.0
    rewards = []
    for step in range(1, steps + 2):
        policy = np.exp(inputs @ weights)
        policy /= policy.sum(axis=1, keepdims=True)
        rewards.append(policy[np.arange(prompts), right].mean())
        chosen = rng.choice(prompts, asked, replace=False)
        edges = policy[chosen].cumsum(axis=1)[:, None, :-1]
        drawn = (rng.random((asked, group, 1)) > edges).sum(axis=-1)
        earned = (drawn == right[chosen, None]).astype(float)
        advantage = (earned - earned.mean(axis=1, keepdims=True)) / (earned.std(axis=1, keepdims=True) + 1e-4)
        scores = np.eye(responses)[drawn] - policy[chosen][:, None, :]
        gradient = np.einsum("pf,pg,pgr->fr", inputs[chosen], advantage, scores)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weights = weights + rate * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return np.array(rewards)


def test_what_pilots_do_not_tell():
    rng = np.random.default_rng(4)
    pilots = Pilots(0.5, 0.0, 1.0, STEPS, exponential(rng, 4, scatter=0.05))
    for reward, reason in ((0.4, "from the start"), (1.0, "no finite number of steps")):
        refused = pilots.steps_to(reward, rng)
        assert isinstance(refused, Unresolved) and reason in refused.reason
    for step in (10.0, HORIZON * 20.0 + 1.0):
        beyond = pilots.reward_at(step, rng)
        assert isinstance(beyond, Unresolved) and "tell steps up to 60" in beyond.reason
    far = pilots.steps_to(0.99, rng)
    assert isinstance(far, Unresolved) and "within 60 steps" in far.reason and "longer pilots" in far.reason
    full = Pilots(1.0, 0.0, 1.0, STEPS, np.ones((4, 20))).reward_at(30.0, rng)
    assert isinstance(full, Unresolved) and "nothing to gain" in full.reason


def test_pilots_that_fall_promise_nothing():
    rng = np.random.default_rng(5)
    pilots = Pilots(0.5, 0.1, 1.0, STEPS, exponential(rng, 4, share=-0.02, scatter=0.02))
    assert isinstance(pilots.steps_to(0.6, rng), Unresolved)
    later = pilots.reward_at(60.0, rng)
    assert isinstance(later, Estimate) and later.upper < 0.5 and later.lower >= 0.1


def test_steps_that_may_never_come_have_no_upper_end():
    rng = np.random.default_rng(6)
    pilots = Pilots(0.5, 0.0, 1.0, STEPS, exponential(rng, 4, share=0.012, scatter=0.08))
    found = pilots.steps_to(0.7, rng)
    assert isinstance(found, Estimate) and np.isfinite(found.value) and np.isinf(found.upper)


def test_a_reward_that_was_touched_and_lost_again_was_not_come_to():
    """Every pilot reads .55 after its first step by chance, then stays at .5: no step of that is told as parity."""
    rng = np.random.default_rng(4)
    runs = 0.5 + 0.005 * rng.normal(size=(4, STEPS.size))
    runs[:, 0] = 0.55
    found = Pilots(0.5, 0.0, 1.0, STEPS, runs).steps_to(0.54, rng)
    assert not (isinstance(found, Estimate) and found.upper < 20.0)
    held = np.where(STEPS >= 3, 0.55, 0.5) + 0.005 * rng.normal(size=(4, STEPS.size))
    kept = Pilots(0.5, 0.0, 1.0, STEPS, held).steps_to(0.54, rng)
    assert isinstance(kept, Estimate) and 3.0 <= kept.value < 5.0
