"""The forecast while RL goes on: made of what was seen, wide before, narrow after, and the same when read back."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.encoding import dumps
from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import Looks, RunningForecast, running_forecast
from interlace.forecasting.calibration import at_a_price
from interlace.forecasting.experience import ELSEWHERE
from interlace.forecasting.reward_curve import RewardCurve

STEPS = np.arange(0.0, 65.0, 5.0)
REWARD = 0.7 + 0.25 * -np.expm1(-STEPS / 25.0)
LOSS = 0.4 + 2.0 * (REWARD - 0.7)
MADE_OF = at_a_price(1.0, ELSEWHERE["averaged"])


def forecast(count: int, **changes: float) -> RunningForecast:
    looks = Looks(STEPS[:count], REWARD[:count], LOSS[:count])
    options = {"top": 1.0, "expert_reward": 0.9, "exchange_rate": 0.2} | changes
    return running_forecast(looks, MADE_OF, 60, np.random.default_rng(0), **options)


def test_a_smooth_rise_is_followed_to_its_end() -> None:
    found = forecast(6)
    for figure, truth in ((found.reward, REWARD[-1]), (found.sft_loss, LOSS[-1])):
        assert isinstance(figure, Estimate) and figure.covers(truth)
    assert isinstance(found.reward, Estimate) and found.reward.value == pytest.approx(REWARD[-1], abs=0.02)
    assert isinstance(found.parity_step, Estimate)
    assert found.parity_step.covers(25.0 * np.log(0.25 / 0.05)), "reward .9 is passed after 40.2 steps"


def test_more_looks_make_it_narrower() -> None:
    widths = [figure.upper - figure.lower for figure in (forecast(n).sft_loss for n in (3, 6, 11))]  # type: ignore[union-attr]
    assert widths == sorted(widths, reverse=True)


def test_before_the_third_look_only_the_fan_speaks() -> None:
    found = forecast(1)
    assert isinstance(found.reward, Unresolved) and isinstance(found.sft_loss, Unresolved)
    assert isinstance(found.best_stop, Unresolved)
    given = found.given(0.85)
    assert isinstance(given, Estimate) and given.covers(0.4 + 2.0 * 0.15)
    for beyond in (0.69, 1.01):
        assert isinstance(found.given(beyond), Unresolved)


def test_the_best_stop_follows_the_exchange_rate() -> None:
    """SFT loss costs 2 nats per unit of reward: a nat that is worth .2 lets RL go on, one worth 1 stops it at once."""
    late, early = (forecast(8, exchange_rate=rate).best_stop for rate in (0.2, 1.0))
    assert isinstance(late, Estimate) and isinstance(early, Estimate)
    assert late.value == 60.0 and early.value == 35.0


def test_past_parity_there_is_no_step_to_forecast() -> None:
    found = forecast(8, expert_reward=0.75).parity_step
    assert isinstance(found, Unresolved) and "already" in found.reason


def test_it_reads_back_as_it_was_written() -> None:
    import json

    for found in (forecast(1), forecast(6)):
        assert RunningForecast.from_json(json.loads(dumps(found.to_json()))) == found


def test_the_reward_curves_intervals_hold_its_future() -> None:
    """2,000 curves drawn from the family with scatter: the middle 95 % of draws hold a later look in 95 % of them, to
    what the grid's prior of heights and times costs."""
    rng, held, repetitions = np.random.default_rng(0), 0, 300
    steps = np.array([5.0, 10.0, 15.0, 20.0])
    for _ in range(repetitions):
        height, time = rng.uniform(0.02, 0.3), 20.0 * 10 ** rng.uniform(-1.0, 2.0)
        looks = -height * np.expm1(-np.append(steps, 60.0) / time) + 0.003 * rng.normal(size=5)
        draws = RewardCurve(steps, looks[:-1], 0.3).draws(np.array([60.0]), 1000, rng)[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        held += low <= looks[-1] <= high
    assert 0.92 <= held / repetitions <= 1.0


def test_where_nothing_moves_nothing_is_forecast() -> None:
    still = Looks(STEPS[:4], np.zeros(4), np.full(4, 1.3))
    found = running_forecast(still, MADE_OF, 60, np.random.default_rng(0), top=1.0, expert_reward=0.5)
    assert isinstance(found.reward, Unresolved) and "has moved" in found.reward.reason
    assert isinstance(found.sft_loss, Unresolved)


def test_a_reward_stays_in_its_range() -> None:
    flat = Looks(STEPS[:4], np.array([0.0, 0.01, 0.0, 0.0]), LOSS[:4])
    found = running_forecast(flat, MADE_OF, 60, np.random.default_rng(0), top=1.0, bottom=0.0, expert_reward=0.5)
    assert isinstance(found.reward, Estimate) and found.reward.lower >= 0.0 and found.reward.value < 0.02
