"""Curves against the theory's own functions, landmarks against independent optima, intervals against populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import (
    Curve,
    best_stop,
    facts_of,
    landmarks_of,
    preflight,
    prompt_paths,
    sft_after_rl,
    start_of,
)
from interlace.theory.distributional import (
    log_partition,
    matching_rl_time,
    non_decoupling_threshold,
    optimal_rl_time,
    tilted_reward,
)
from interlace.theory.finite import chi_square, kl
from interlace.theory.paths import PathOptions, follow, optimal_sft_weight

from .starts import make_start, sampled


@pytest.fixture(scope="module")
def start():
    return start_of(*make_start(np.random.default_rng(0), 60))


@pytest.fixture(scope="module")
def natural(start):
    return Curve(prompt_paths(start, "natural", PathOptions()))


def test_the_natural_curve_is_A1_at_the_matching_time(start, natural):
    for reward in (0.55, 0.7, 0.85):
        tau = matching_rl_time(start.problem, reward)
        change = float(log_partition(start.problem, tau).mean()) - tau * start.expert_reward
        point = natural.at(reward)
        assert point.sft_loss_change.value == pytest.approx(change, abs=5e-4)
        assert point.rl_time == pytest.approx(tau, rel=2e-3)
        assert point.right.value + point.wrong.value == pytest.approx(point.sft_loss_change.value, abs=1e-9)


@pytest.mark.parametrize("model", ["systematic", "group_normalised", "softmax"])
def test_a_curve_is_the_followed_path(start, model):
    curve = Curve(prompt_paths(start, model, PathOptions()))
    scale = 1.0 if model == "systematic" else 60.0
    path = follow(start.problem, model, scale * np.linspace(0.0, 4.0, 200))
    for reward in (0.5, 0.6):
        expected = np.interp(reward, path.reward, path.sft_loss) - path.sft_loss[0]
        assert curve.at(reward).sft_loss_change.value == pytest.approx(expected, abs=5e-4)
        assert curve.at(reward).kl.value == pytest.approx(np.interp(reward, path.reward, path.kl), abs=5e-4)


def test_landmarks_are_where_the_theory_has_them(start, natural):
    marks = landmarks_of(natural)
    assert marks.parity.value == pytest.approx(0.6)
    assert marks.least_loss.value == pytest.approx(0.6, abs=2e-3)  # A4
    back = tilted_reward(start.problem, non_decoupling_threshold(start.problem))
    assert marks.threshold.value == pytest.approx(back, abs=2e-3)  # A5


@pytest.mark.parametrize("exchange_rate", [0.3, 1.0, 3.0])
def test_the_stop_is_A6s(start, natural, exchange_rate):
    best = tilted_reward(start.problem, optimal_rl_time(start.problem, exchange_rate))
    stop = best_stop(natural, exchange_rate)
    assert stop.reward.value == pytest.approx(best, abs=0.01)
    assert stop.holds_from <= exchange_rate <= stop.holds_to


def test_the_implied_exchange_rate_is_A6s_ratio(start, natural):
    """dR/dL = V / (R - R_D) on the RL path."""
    tau = matching_rl_time(start.problem, 0.75)
    policy = np.exp(
        np.log(start.problem.reference, where=start.problem.support, out=np.full_like(start.problem.reference, -np.inf))
        + tau * start.problem.reward
    )
    policy /= policy.sum(axis=1, keepdims=True)
    rate = (policy * start.problem.reward).sum(axis=1)
    expected = float((rate * (1.0 - rate)).mean()) / (0.75 - 0.6)
    assert natural.at(0.75).implied_exchange_rate.value == pytest.approx(expected, rel=0.02)
    assert isinstance(natural.at(0.55).implied_exchange_rate, Unresolved)  # SFT loss still falls there


def test_stopping_at_a_point_is_right_for_its_implied_exchange_rate(natural):
    rate = natural.at(0.8).implied_exchange_rate.value
    found = optimize.minimize_scalar(
        lambda r: -(r - rate * np.interp(r, natural.reward, natural.loss_change)), bounds=(0.5, 0.95), method="bounded"
    )
    assert found.x == pytest.approx(0.8, abs=0.02)


def test_beyond_its_ends_a_curve_says_nothing(natural):
    assert isinstance(natural.at(0.1).sft_loss_change, Unresolved) and isinstance(natural.at(1.5).kl, Unresolved)


def test_the_interval_covers_the_populations_curve():
    """Many sets of 64 prompts of one population, read at the same gain of reward."""
    rng = np.random.default_rng(11)
    population = Curve(prompt_paths(start_of(*make_start(rng, 4_000)), "natural", PathOptions()))
    truth = population.at(population.reward[0] + 0.25).sft_loss_change.value
    covered = 0
    for _ in range(100):
        curve = Curve(prompt_paths(start_of(*make_start(rng, 64)), "natural", PathOptions()))
        covered += curve.at(float(curve.reward[0]) + 0.25).sft_loss_change.covers(truth)
    assert covered >= 88  # 95 % of 100 less 3 standard errors


def test_sampled_rewards_give_the_same_curve_within_its_interval():
    rng = np.random.default_rng(2)
    held, scores = make_start(rng, 400, other=0.2)
    exact = Curve(prompt_paths(start_of(held, scores), "systematic", PathOptions()))
    few = Curve(prompt_paths(start_of(held, sampled(rng, scores, 4)), "systematic", PathOptions()))
    known = exact.at(float(exact.reward[0]) + 0.2).sft_loss_change
    assert few.at(float(few.reward[0]) + 0.2).sft_loss_change.covers(known.value)


def test_sft_after_rl_is_D8(start, natural):
    log_policy = natural.paths.log_policy[-1]
    policy = np.exp(log_policy)
    found = sft_after_rl(natural.paths, 0.5)
    lost = found.reward_before.value - found.reward_at_end.value
    assert found.first_cost.value == pytest.approx(lost / chi_square(start.problem, start.problem.expert, policy))
    assert found.whole_cost.value == pytest.approx(lost / kl(start.problem, start.problem.expert, policy))
    assert found.weight == optimal_sft_weight(start.problem, policy, 0.5)


def test_a_perfect_expert_is_said():
    held, scores = make_start(np.random.default_rng(0), 20, expert_right=1.0)
    found = preflight(start_of(held, scores))
    assert found.is_perfect_expert
    natural = next(each for each in found.forecasts if each.path_model == "natural")
    assert natural.landmarks.least_loss.reason == "SFT loss falls to the path's end"


def test_graded_rewards_leave_the_group_path_silent(start):
    held, scores = make_start(np.random.default_rng(0), 20)
    graded = start_of(
        replace(held, reward=np.where(held.reward == 1.0, 0.7, 0.2)),
        replace(scores, reward_values=np.where(scores.reward_values == 1.0, 0.7, 0.2)),
    )
    found = preflight(graded)
    assert [each.path_model for each in found.silent] == ["group_normalised"]
    assert isinstance(found.forecasts[0].curve[3].right, Unresolved)


def test_bounds_lie_below_every_path(start, natural):
    found = preflight(start)
    loss = natural.paths.loss.mean(axis=-1)
    for bound in found.bounds:
        assert bound.floor <= bound.front + 1e-9
        if natural.reward[0] <= bound.reward <= natural.reward[-1]:
            assert bound.front <= np.interp(bound.reward, natural.reward, loss) + 1e-3


def test_an_expert_that_is_not_known_has_no_bounds():
    held, scores = make_start(np.random.default_rng(0), 20, known=False)
    assert isinstance(preflight(start_of(held, scores)).bounds, Unresolved)


def test_levels_stay_in_their_range():
    """Twenty prompts of which the policy is nearly always right."""
    held, scores = make_start(np.random.default_rng(0), 20)
    right = np.log(np.column_stack([np.full(20, 0.985), np.full(20, 0.01)]).ravel())
    law = np.column_stack([np.full(20, 0.985), np.full(20, 0.015)])
    facts = facts_of(start_of(held, replace(scores, expert_logprobs=right, reward_probabilities=law)))
    for name in ("reward", "expert_reward", "expert_right", "expert_wrong", "other", "never_solved"):
        assert 0.0 <= getattr(facts, name).lower <= getattr(facts, name).upper <= 1.0, name


@pytest.mark.parametrize("exchange_rate", [0.001, 0.01, 0.1, 0.5, 2.0])
def test_the_landmarks_of_a_path_stay_among_rewards(exchange_rate):
    """Twelve prompts that differ, of which the policy will nearly always be right: linearised ends lie above 1."""
    for seed in range(6):
        held, scores = make_start(np.random.default_rng(seed), 12, expert_right=0.97, other=0.01)
        curve = Curve(prompt_paths(start_of(held, scores), "natural", PathOptions()))
        marks = landmarks_of(curve)
        for figure in (best_stop(curve, exchange_rate).reward, marks.least_loss, marks.parity, marks.threshold):
            if isinstance(figure, Estimate):
                assert 0.0 <= figure.lower <= figure.value <= figure.upper <= 1.0


def test_a_path_that_leads_nowhere_is_silent(start):
    """A policy that gives the expert's responses hardly ever has nothing to gain among them."""
    held, scores = make_start(np.random.default_rng(0), 20)
    rare = np.log(np.tile([1e-4, 1e-3], 20))
    law = np.tile([1e-4, 1.0 - 1e-4], (20, 1))
    found = preflight(
        start_of(held, replace(scores, expert_logprobs=rare, reward_probabilities=law)),
        models=["systematic", "natural"],
    )
    assert [each.path_model for each in found.silent] == ["systematic"] and "RL gains" in found.silent[0].reason
    assert [each.path_model for each in found.forecasts] == ["natural"]
