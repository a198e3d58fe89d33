"""Scores by hand, baselines against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import Looks
from interlace.forecasting.scoring import (
    BASELINES,
    Later,
    Score,
    linear_in_reward,
    linear_in_steps,
    persistence,
    quadratic_in_kl,
    skill,
)

LOOKS = Looks(
    np.array([0.0, 5.0, 10.0, 15.0]),
    np.array([0.7, 0.74, 0.77, 0.82]),
    np.array([0.4, 0.46, 0.55, 0.6]),
    np.array([0.0, 0.01, 0.03, 0.05]),
)
LATER = Later(60, 0.95, 0.4)


def scored(value: float, lower: float, upper: float, truth: float) -> Score:
    return Score(Estimate(value, lower, upper, 0.95, 4, "by hand", "nats/response"), truth, 0.5)


def test_a_score_by_hand() -> None:
    inside, above = scored(1.0, 0.9, 1.2, 1.1), scored(1.0, 0.9, 1.2, 1.3)
    assert (inside.is_covered, above.is_covered) == (True, False)
    assert inside.interval_score == pytest.approx(0.3)
    assert above.interval_score == pytest.approx(0.3 + 40.0 * 0.1)
    assert above.relative_error == pytest.approx(0.6) and above.error == pytest.approx(-0.3)
    assert scored(1.0, 1.0, 1.0, 1.0).relative_error == 0.0


def test_skill_compares_the_same_stages() -> None:
    ours, theirs = [scored(1.0, 0.9, 1.1, 1.0)], [scored(1.0, 0.8, 1.2, 1.0)]
    assert skill(ours, theirs) == pytest.approx(0.5)
    assert skill(theirs, ours) == pytest.approx(-1.0)
    assert math.isnan(skill([], [])) and math.isnan(skill(ours, []))


def test_the_straight_line_has_the_textbooks_interval() -> None:
    found = linear_in_steps(LOOKS, LATER)
    line = stats.linregress(LOOKS.steps, LOOKS.sft_loss)
    residual = LOOKS.sft_loss - line.intercept - line.slope * LOOKS.steps
    centred = LOOKS.steps - LOOKS.steps.mean()
    error = math.sqrt((residual**2).sum() / 2 * (1 + 1 / 4 + (60 - LOOKS.steps.mean()) ** 2 / (centred**2).sum()))
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(line.intercept + 60 * line.slope)
    assert found.upper - found.value == pytest.approx(stats.t.ppf(0.975, 2) * error)


def test_prices_are_least_squares_through_the_start() -> None:
    gains, rises = LOOKS.reward[1:] - 0.7, LOOKS.sft_loss[1:] - 0.4
    found = linear_in_reward(LOOKS, LATER)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.4 + 0.25 * (gains @ rises) / (gains @ gains))
    bent = quadratic_in_kl(LOOKS, LATER)
    weights = np.polyfit([0.0, *LOOKS.kl[1:]], [0.0, *rises], 2, w=[1e6, 1, 1, 1])  # type: ignore[index]
    assert isinstance(bent, Estimate) and bent.value == pytest.approx(0.4 + np.polyval(weights, 0.4), rel=1e-6)


def test_persistence_is_a_random_walk() -> None:
    found = persistence(LOOKS, LATER)
    step = math.sqrt((0.06**2 + 0.09**2 + 0.05**2) / 3)
    assert isinstance(found, Estimate) and found.value == 0.6
    assert found.upper - 0.6 == pytest.approx(stats.t.ppf(0.975, 3) * step * math.sqrt(45 / 5))


@pytest.mark.parametrize("name", BASELINES)
def test_one_look_is_too_few_for_a_baseline(name: str) -> None:
    assert isinstance(BASELINES[name](LOOKS.until(0), LATER), Unresolved)


def test_without_kl_there_is_no_quadratic() -> None:
    bare = Looks(LOOKS.steps, LOOKS.reward, LOOKS.sft_loss)
    assert isinstance(quadratic_in_kl(bare, LATER), Unresolved)
    assert isinstance(quadratic_in_kl(LOOKS, Later(60, 0.95, math.nan)), Unresolved)
