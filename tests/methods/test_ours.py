"""Guarded RL and the frontier step: what they decide, against arithmetic of their own."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from interlace.controllers import Sighting
from interlace.encoding import dumps
from interlace.measurement import HeldOut, PromptScores
from interlace.methods import Given, Groups, Plan, build_method
from interlace.policies import EncodedResponse

PLAN = Plan("t", "t", 10, 2, 2, 32, 0)


def sight_of(rise: float, spread: float = 0.0, step: int = 5, weights: str = "raw") -> Any:
    """A look at which each of 64 prompts' responses of two tokens lost `rise` nats a token, give or take `spread`."""
    prompts = np.arange(64)
    ones = np.ones(64)
    held = HeldOut("t", 64, prompts, ones, ones, np.full(64, 2), True)
    rises = 2 * (rise + spread * np.where(prompts // 2 % 2, 1.0, -1.0))
    before, after = (PromptScores(-1.0 - by, None, None, True, None) for by in (np.zeros(64), rises))
    sighting = Sighting(step, held, before, after)
    return lambda task, of: sighting if (task, of) == ("t", weights) else None


def mu(method: Any) -> float:
    weights = method.weights(0)
    assert weights.rl + weights.sft == pytest.approx(1.0)
    return float(weights.sft)


def test_the_multiplier_follows_the_excess_over_the_budget() -> None:
    """log lambda = log begin + integral * sum of excesses + proportional * the latest, in units of the budget."""
    method = build_method({"name": "guarded", "budget": 0.1, "proportional": 0.3, "integral": 0.2}, PLAN)
    assert mu(method) == 0.5
    for rises in ([0.15], [0.15, 0.25], [0.15, 0.25, 0.0]):
        assert method.see(sight_of(rises[-1])) is None
        excesses = [min(2.0, (rise - 0.1) / 0.1) for rise in rises]
        logarithm = 0.2 * sum(excesses) + 0.3 * excesses[-1]
        assert mu(method) == pytest.approx(1 / (1 + math.exp(-logarithm)), abs=1e-6)


@pytest.mark.parametrize(("weights", "steps", "gain"), [
    ("averaged", 5, 1.0), ("averaged", 10, 1.0), ("averaged", 40, 0.25), ("averaged", 1000, 0.1),
    ("raw", 5, 0.1), ("raw", 40, 0.1),
])  # fmt: skip
def test_an_average_bears_less_gain_the_further_apart_its_looks_are(weights: str, steps: int, gain: float) -> None:
    """Two looks at the same excess of half a budget: the integral has both, the proportional part the latter."""
    method = build_method({"name": "guarded", "budget": 0.1}, PLAN)
    method.see(sight_of(0.15, step=steps, weights=weights))
    again = build_method({"name": "guarded", "budget": 0.1}, PLAN)
    again.restore(json.loads(dumps(method.state)))
    again.see(sight_of(0.15, step=2 * steps, weights=weights))
    assert mu(again) == pytest.approx(1 / (1 + math.exp(-(2 * 0.1 * 0.5 + gain * 0.5))), abs=1e-6)


def test_a_rise_that_is_not_ruled_out_counts() -> None:
    """The mean is within the budget, its interval is not."""
    tight, wide = (build_method({"name": "guarded", "budget": 0.1}, PLAN) for _ in range(2))
    tight.see(sight_of(0.08))
    wide.see(sight_of(0.08, spread=0.5))
    assert mu(tight) < 0.5 < mu(wide)


def test_it_does_not_wind_up_and_goes_on_where_it_was() -> None:
    method = build_method({"name": "guarded", "budget": 0.1}, PLAN)
    for _ in range(100):
        method.see(sight_of(1.0))
    assert mu(method) <= 32 / 33
    again = build_method({"name": "guarded", "budget": 0.1}, PLAN)
    again.restore(json.loads(dumps(method.state)))
    assert mu(again) == mu(method)
    assert build_method("guarded", PLAN).see(lambda task, weights: None) is None


def response(*ids: int) -> EncodedResponse:
    return EncodedResponse((0,), ids, len(ids))


def groups(expert: list[tuple[int, float, float]], own: list[tuple[int, float]]) -> Groups:
    """One prompt: the expert's (token, p_D, reward), the policy's own (token, reward)."""
    rewards = np.array([[reward for _, reward in own]])
    return Groups(
        step=0,
        rewards=rewards,
        advantages=np.zeros_like(rewards, dtype=np.float32),
        examples=[0],
        is_expert=np.zeros(rewards.shape, dtype=np.bool_),
        is_answered=np.array([bool(expert)]),
        expert=lambda prompt: response(expert[0][0]),
        hint=lambda prompt: response(),
        responses=lambda prompt: [Given(response(token), chance, reward) for token, chance, reward in expert],
        own=lambda prompt, place: response(own[place][0]),
    )


def frontier(rate: float, given: Groups) -> dict[int, float]:
    regrouped = build_method({"name": "frontier", "exchange_rate": rate}, PLAN).regroup(given)
    return {item.response.response[0]: item.weight for item in regrouped.imitated}


def test_D9_expert_responses_are_imitated_by_their_optimal_probability() -> None:
    """lambda p_D/(nu - r), nu by a root of its own."""
    expert = [(1, 0.5, 1.0), (2, 0.3, 0.0), (3, 0.2, 0.5)]
    found = frontier(0.7, groups(expert, [(1, 1.0), (2, 0.0)]))
    nu = brentq(lambda v: sum(0.7 * p / (v - r) for _, p, r in expert) - 1.0, 1.0 + 1e-9, 10.0)
    assert found == pytest.approx({token: 0.7 * p / (nu - r) for token, p, r in expert}, abs=1e-9)


def test_D9_a_completion_that_is_better_than_the_expert_gets_what_is_left() -> None:
    """The expert never earns anything: nu is the own completion's reward 1, the expert keeps lambda p_D/(1 - 0)."""
    found = frontier(0.25, groups([(1, 0.6, 0.0), (2, 0.4, 0.0)], [(7, 1.0), (1, 0.0)]))
    assert found == pytest.approx({1: 0.25 * 0.6, 2: 0.25 * 0.4, 7: 0.75}, abs=1e-9)
    assert frontier(1.5, groups([(1, 0.6, 0.0), (2, 0.4, 0.0)], [(7, 1.0), (1, 0.0)])).keys() == {1, 2}


def test_D9_without_an_answer_the_best_completion_is_imitated_where_it_is_better() -> None:
    """No p_D: the optimum of reward alone is all on the best, and nothing is best where all earn the same."""
    assert frontier(0.7, groups([], [(5, 0.0), (6, 1.0), (7, 1.0)])) == {6: 1.0}
    assert frontier(0.7, groups([], [(5, 1.0), (6, 1.0)])) == {} == frontier(0.7, groups([], [(5, 0.0), (6, 0.0)]))


def test_the_frontier_samples_but_takes_no_advantage() -> None:
    method = build_method("frontier", PLAN)
    assert (method.weights(3).rl, method.weights(3).sft) == (0.0, 1.0)
    assert method.follows == "groups"


def averaged_sight(rise: float) -> Any:
    """The averaged weights' look alone."""
    raw = sight_of(rise)
    return lambda task, weights: raw(task, "raw") if (task, weights) == ("t", "averaged") else None


def test_the_average_is_guarded_where_the_stage_keeps_one_with_a_gain_of_its_own() -> None:
    """log lambda after one look of excess 1: .1 + 1 of an average, .1 + .1 of raw weights."""
    for sight, gain in ((averaged_sight(0.2), 1.0), (sight_of(0.2), 0.1)):
        method = build_method({"name": "guarded", "budget": 0.1}, PLAN)
        method.see(sight)
        assert mu(method) == pytest.approx(1 / (1 + math.exp(-(0.1 + gain))), abs=1e-6)
    asked = build_method({"name": "guarded", "budget": 0.1, "weights": "raw"}, PLAN)
    asked.see(averaged_sight(0.2))
    assert mu(asked) == 0.5


def test_the_guarded_frontier_imitates_the_optimum_at_the_multiplier() -> None:
    """As `frontier` at lambda = begin e^(.1 + 1) after a look of excess 1; resumed, the same."""
    given = groups([(1, 0.5, 1.0), (2, 0.3, 0.0), (3, 0.2, 0.5)], [(1, 1.0), (2, 0.0)])
    method = build_method({"name": "guarded_frontier", "budget": 0.1, "begin": 0.2}, PLAN)

    def weights(of: Any) -> dict[int, float]:
        return {item.response.response[0]: item.weight for item in of.regroup(given).imitated}

    assert weights(method) == pytest.approx(frontier(0.2, given))
    assert method.see(averaged_sight(0.2)) is None
    assert weights(method) == pytest.approx(frontier(0.2 * math.exp(1.1), given), abs=1e-9)
    again = build_method({"name": "guarded_frontier", "budget": 0.1, "begin": 0.2}, PLAN)
    again.restore(json.loads(dumps(method.state)))
    assert weights(again) == weights(method)
