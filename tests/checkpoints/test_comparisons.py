"""How checkpoints are compared: coverage of the change of a sampled reward, and p-values that agree with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.changes import OBJECTIVES
from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.objectives import compare
from interlace.estimate import Estimate
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics.sampled import FEW

RATES = (0.02, 0.1, 0.5, 0.9, 0.98)
REPEATS = 300


def sampled(rewards: np.ndarray) -> Snapshot:
    """Rewards of each prompt's samples, as `measure` keeps them."""
    count = len(rewards)
    held = HeldOut("t", count, np.arange(count), np.ones(count), np.ones(count), np.ones(count, dtype=np.int64), False)
    shares = np.full(rewards.shape, 1.0 / rewards.shape[1])
    return Snapshot(held, 0, None, PromptScores(None, rewards.astype(np.float64), shares, False))


def tilted(rates: np.ndarray) -> np.ndarray:
    """Pass rates after a tilt towards reward by 1/2."""
    return rates * np.e**0.5 / (1 + rates * np.expm1(0.5))


def pairs(rng: np.random.Generator, rate: float, likeness: float, prompts: int, group: int) -> tuple[Snapshot, ...]:
    passes = rng.beta(likeness * rate, likeness * (1 - rate), size=prompts)
    draws = (rng.random((prompts, group)) < each[:, None] for each in (passes, tilted(passes)))
    return tuple(sampled(rewards) for rewards in draws)


def truth(rng: np.random.Generator, rate: float, likeness: float) -> float:
    many = rng.beta(likeness * rate, likeness * (1 - rate), size=400_000)
    return float((tilted(many) - many).mean())


@pytest.mark.parametrize("group", [2, 8])
@pytest.mark.parametrize("prompts", [16, 64])
@pytest.mark.parametrize("likeness", [0.3, 4.0])
def test_changes_of_sampled_rewards_cover(prompts: int, likeness: float, group: int) -> None:
    """Pass rates near 0 and 1 too, where most prompts never change (likeness .3); every interval is printed."""
    rng = np.random.default_rng(prompts)
    covered = []
    for rate in RATES:
        real = truth(rng, rate, likeness)
        found = [compare("reward", *pairs(rng, rate, likeness, prompts, group)) for _ in range(REPEATS)]
        assert all(isinstance(item.change, Estimate) for item in found)
        assert all((item.p_value < 0.05) == (item.change.sign != 0) for item in found)  # type: ignore[operator]
        covered.append(np.mean([item.change.covers(real) for item in found]))  # type: ignore[union-attr]
    print(f"{prompts} prompts, {group} samples, likeness {likeness}: {np.round(covered, 3)}")
    assert np.mean(covered) >= 0.93 and min(covered) >= 0.9


@pytest.mark.parametrize("group", [2, 8])
def test_where_nothing_changes_few_are_called_significant(group: int) -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for rate in RATES:
        for _ in range(REPEATS):
            passes = rng.beta(0.3 * rate, 0.3 * (1 - rate), size=32)
            ends = (sampled(rng.random((32, group)) < passes[:, None]) for _ in "ab")
            p_values.append(compare("reward", *ends).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.05


def test_one_sample_a_prompt_is_compared_exactly() -> None:
    """Every table of ten prompts: the melded interval excludes 0 where McNemar's test rejects, and nowhere else."""
    for lost in range(11):
        for gained in range(11 - lost):
            after = np.repeat([0.0, 1.0, 1.0], [lost, gained, 10 - lost - gained])
            before = np.repeat([1.0, 0.0, 1.0], [lost, gained, 10 - lost - gained])
            found = compare("reward", sampled(before[:, None]), sampled(after[:, None]))
            assert (found.p_value < 0.05) == (found.change.sign != 0)  # type: ignore[operator]


def test_a_reward_that_is_never_earned_has_a_change_too() -> None:
    never = sampled(np.zeros((32, 8)))
    found = compare("reward", never, never)
    assert isinstance(found.change, Estimate) and found.change.method == FEW
    assert (found.change.lower, found.change.value, found.change.upper) == pytest.approx(
        (-0.1089, 0.0, 0.1089), abs=1e-4
    )
    assert OBJECTIVES["reward"].change(never, never) == found.change  # a run's stages are compared alike


def test_other_sampled_rewards_are_refused_where_few_changed() -> None:
    before, after = np.full((20, 4), 0.3), np.full((20, 4), 0.3)
    after[:5] = 2.0
    found = compare("reward", sampled(before), sampled(after))
    assert found.p_value is None and "5 of 20 prompts changed, 8 are needed" in str(found.change)
