"""The flag on parity with sampled rewards near an end of their range, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.flags import FLAGS, FlagWatch
from interlace.flags.watch import LookPlan
from interlace.measurement import HeldOut, PromptScores

LOOKS = 10


def texts(rng: np.random.Generator, prompts: int, samples: int, expert: float, start: float, now: float) -> list[str]:
    """What the flags say over `LOOKS` looks at a policy of pass rate `now`."""
    held = HeldOut(
        "t", prompts, np.arange(prompts), np.ones(prompts), np.full(prompts, expert), np.ones(prompts, dtype=int), False
    )

    def scores(rate: float) -> PromptScores:
        rewards = (rng.random((prompts, samples)) < rate).astype(float)
        return PromptScores(np.full(prompts, -1.0), rewards, np.full_like(rewards, 1 / samples), False)

    first = scores(start)
    watch = FlagWatch("rl", FLAGS, LookPlan(LOOKS, 1), 1, lambda task: first)
    return [alarm.text for step in range(1, LOOKS + 1) for alarm in watch.see(step, held, scores(now))]


@pytest.mark.parametrize(("prompts", "rate"), [(16, 0.99), (64, 0.999), (512, 0.9995), (64, 0.9)])
def test_a_policy_as_good_as_the_expert_raises_no_flag(prompts: int, rate: float) -> None:
    """All of its samples are right sometimes: that is no proof of a policy better than an expert that is nearly so."""
    rng, runs = np.random.default_rng(0), 40
    false = sum(bool(texts(rng, prompts, 8, rate, rate, rate)) for _ in range(runs))
    assert false / runs <= 0.05


def test_it_says_passed_only_where_the_start_did_not_stand_above() -> None:
    rng = np.random.default_rng(0)
    (passed,), (stood,) = (texts(rng, 64, 8, 0.5, start, 0.9) for start in (0.4, 0.9))
    assert "passed the expert's, by +0.4" in passed and "since" not in passed
    assert "has stood above the expert's since the stage's start, now by +0.4" in stood
