"""What an RL trainer samples anyway: gathered across a kill as without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interlace.callback.rollouts import Batch, Rollouts
from interlace.estimate import Estimate, Figure, Unresolved, exact


def rollouts() -> Rollouts:
    return Rollouts("sums", exact(0.7, "reward units", 9), True, np.random.default_rng(3))


def sampled(rng: np.random.Generator, pass_rate: float) -> Batch:
    rewards = rng.binomial(1, pass_rate, size=(16, 4)).astype(float)
    return Batch(rewards, rng.integers(1, 9, size=64), rng.random(64) < 0.2)


def gather(kept: Rollouts, rng: np.random.Generator, pass_rate: float) -> None:
    kept.add(sampled(rng, pass_rate))
    kept.advantages.append(rng.normal(size=64))


def test_a_restored_gathering_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Saved between two looks, with batches in hand that no look has seen."""
    ends: list[dict[str, Figure]] = []
    for is_killed in (False, True):
        rng, kept = np.random.default_rng(0), rollouts()
        for pass_rate in (0.3, 0.4):
            gather(kept, rng, pass_rate)
            kept.figures()
        gather(kept, rng, 0.5)
        if is_killed:
            kept.save(tmp_path)
            kept = rollouts()
            kept.restore(tmp_path)
        gather(kept, rng, 0.5)
        ends.append(kept.figures())
        assert kept.tokens_sampled > 0
    assert ends[0] == ends[1]
    assert isinstance(ends[0]["train_rl_time"], Estimate)


def test_an_empty_gathering_is_restored_empty(tmp_path: Path) -> None:
    rollouts().save(tmp_path)
    kept = rollouts()
    kept.restore(tmp_path)
    assert kept.figures() == {} and kept.path == []


def test_rl_time_is_not_known_where_its_beginning_is_not(tmp_path: Path) -> None:
    kept, rng = rollouts(), np.random.default_rng(0)
    kept.restore(tmp_path)
    for pass_rate in (0.3, 0.5):
        gather(kept, rng, pass_rate)
        figures = kept.figures()
    refused = figures["train_rl_time"]
    assert isinstance(refused, Unresolved) and "resumed" in refused.reason
    assert isinstance(figures["train_reward"], Estimate)
