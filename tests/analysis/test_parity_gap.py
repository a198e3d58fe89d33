"""R - R_D of sampled rewards: an interval that samples never make certain."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.parity_gap import HULL, METHOD, parity_gap
from interlace.analysis.trajectory import Snapshot
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics import paired_change


def snapshot(rewards: np.ndarray, expert: np.ndarray, *, is_exact: bool = False) -> Snapshot:
    count = len(rewards)
    held = HeldOut("t", count, np.arange(count), np.ones(count), expert, np.ones(count, dtype=np.int64), False)
    equal = np.full_like(rewards, 1.0 / rewards.shape[1])
    return Snapshot(held, 1, None, PromptScores(None, rewards, equal, is_exact))


def gap_of(rewards: np.ndarray, expert: np.ndarray, level: float = 0.95) -> Estimate:
    found = parity_gap(snapshot(rewards, expert), expert, level=level)
    assert isinstance(found, Estimate)
    return found


def test_all_samples_right_do_not_stand_above_an_expert_of_99_percent() -> None:
    found = gap_of(np.ones((64, 8)), np.full(64, 0.99))
    assert found.value == pytest.approx(0.01) and found.upper == pytest.approx(0.01) and found.lower < 0.0


@pytest.mark.parametrize(
    ("prompts", "samples", "rates"),
    [
        (16, 8, (0.99, 0.99)),
        (64, 8, (0.999, 0.999)),
        (512, 8, (0.995, 0.995)),
        (64, 1, (0.95, 0.95)),
        (512, 8, (0.995, 0.0)),
        (128, 8, (0.7, 0.7)),
        (128, 8, (0.9, 0.5)),
    ],
)
def test_at_parity_the_lower_end_errs_no_more_often_than_promised(
    prompts: int, samples: int, rates: tuple[float, float]
) -> None:
    """Pass rates alike, and a few hard prompts among easy ones, whose scatter hides that the easy ones never failed."""
    rng, runs, level = np.random.default_rng(0), 400, 0.95
    expert = np.where(np.arange(prompts) % 64, *rates)
    drawn = [(rng.random((prompts, samples)) < expert[:, None]).astype(float) for _ in range(runs)]
    errors = sum(gap_of(rewards, expert, level).lower > 1e-9 for rewards in drawn)
    plain = [paired_change(expert, rewards.mean(axis=1), unit="") for rewards in drawn]
    print(f"{errors}/{runs}; Student t {sum(isinstance(g, Estimate) and g.lower > 1e-9 for g in plain)}/{runs}")
    expected = runs * (1.0 - level) / 2.0
    assert errors <= expected + 3.0 * np.sqrt(expected)


def test_many_prompts_on_both_sides_are_compared_pair_by_pair() -> None:
    """Prompts of very different pass rates do not widen it."""
    rng = np.random.default_rng(0)
    expert = rng.beta(0.5, 0.5, 256)
    rewards = (rng.random((256, 8)) < expert[:, None]).astype(float)
    found, plain = gap_of(rewards, expert), paired_change(expert, rewards.mean(axis=1), unit="")
    assert isinstance(plain, Estimate) and found.method == METHOD
    assert (found.lower, found.upper) == pytest.approx((plain.lower, plain.upper), abs=2e-3)
    assert gap_of(rewards[:8], expert[:8]).method == HULL


def test_enumerated_rewards_are_known() -> None:
    found = parity_gap(snapshot(np.ones((64, 1)), np.full(64, 0.99), is_exact=True), np.full(64, 0.99))
    assert isinstance(found, Estimate) and found.lower == pytest.approx(0.01)


def test_graded_rewards_that_never_differ_say_nothing() -> None:
    found = parity_gap(snapshot(np.full((8, 4), 0.5), np.full(8, 0.5)), np.full(8, 0.5))
    assert isinstance(found, Unresolved) and "range is not known" in found.reason
