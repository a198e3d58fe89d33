"""What an RL trainer samples anyway: gathered across a kill as without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interlace.callback.rollouts import Batch, Rollouts
from interlace.estimate import Estimate, Figure, Unresolved, exact


def rollouts() -> Rollouts:
    return Rollouts.seeded("sums", exact(0.7, "reward units", 9), None, 3)


def sampled(rng: np.random.Generator, pass_rate: float) -> Batch:
    rewards = rng.binomial(1, pass_rate, size=(16, 4)).astype(float)
    return Batch(rewards, rng.integers(1, 9, size=(16, 4)) * 1.0, (rng.random((16, 4)) < 0.2) * 1.0)


def gather(kept: Rollouts, rng: np.random.Generator, pass_rate: float) -> None:
    kept.add(sampled(rng, pass_rate))
    kept.advantages.append(np.abs(rng.normal(size=(16, 4))))


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
    assert kept.figures() == {} and kept.path.times is None


def test_rl_time_is_not_known_where_its_beginning_is_not(tmp_path: Path) -> None:
    kept, rng = rollouts(), np.random.default_rng(0)
    kept.restore(tmp_path)
    for pass_rate in (0.3, 0.5):
        gather(kept, rng, pass_rate)
        figures = kept.figures()
    refused = figures["train_rl_time"]
    assert isinstance(refused, Unresolved) and "resumed" in refused.reason
    assert isinstance(figures["train_reward"], Estimate)


def test_a_new_training_begins_anew() -> None:
    kept, rng = rollouts(), np.random.default_rng(0)
    gather(kept, rng, 0.3)
    kept.figures()
    gather(kept, rng, 0.4)
    kept.begin()
    gather(kept, rng, 0.5)
    figures = kept.figures()
    reward, rl_time = figures["train_reward"], figures["train_rl_time"]
    assert isinstance(reward, Estimate) and reward.n == 16
    assert isinstance(rl_time, Unresolved) and "two looks" in rl_time.reason
