"""The flag on D13's floor: only where the reward's range is known."""

from __future__ import annotations

import numpy as np

from interlace.flags.base import Evidence
from interlace.flags.certain_cost import CertainCost
from interlace.measurement import HeldOut, PromptScores

PROMPTS, SAMPLES = 64, 8


def evidence(expert: float, start: np.ndarray, now: np.ndarray, loss: float, *, is_exact: bool = False) -> Evidence:
    held = HeldOut(
        "t", PROMPTS, np.arange(PROMPTS), np.ones(PROMPTS), np.full(PROMPTS, expert), np.ones(PROMPTS, dtype=int), False
    )
    both = (
        PromptScores(np.full(PROMPTS, -loss), rewards, np.full_like(rewards, 1 / rewards.shape[1]), is_exact)
        for rewards in (start, now)
    )
    return Evidence("rl", 1, 0.99, held, *both)


def test_the_range_of_graded_samples_is_not_the_rewards_own() -> None:
    """Samples within [.1, 1.1] of a reward that ranges over [0, 10]: the true floor is .012, theirs would be 1."""
    rng = np.random.default_rng(0)
    start, now = (rng.normal(mean, 0.05, (PROMPTS, SAMPLES)) for mean in (0.2, 1.0))
    assert not CertainCost().applies(evidence(0.2, start, now, 0.5))


def test_right_and_wrong_samples_have_the_range_1_though_only_one_of_them_was_seen() -> None:
    zeros, ones = np.zeros((PROMPTS, SAMPLES)), np.ones((PROMPTS, SAMPLES))
    assert CertainCost().applies(evidence(0.0, zeros, ones, 1.0))
    assert CertainCost().raised(evidence(1.0, ones, ones, 0.1)) is None
    said = CertainCost().raised(evidence(0.0, zeros, ones, 1.0))
    assert said is not None and "no method has an SFT loss below 1." in said  # 2 (.8)^2: samples leave .2 open


def test_enumerated_rewards_have_the_range_that_they_have() -> None:
    start, now = (np.tile(values, (PROMPTS, 1)) for values in ([0.0, 10.0], [9.0, 10.0]))
    said = CertainCost().raised(evidence(0.0, start, now, 1.0, is_exact=True))
    assert said is not None and "below 1.8" in said  # 2 (9.5 / 10)^2
    assert CertainCost().raised(evidence(0.0, start, now, 1.9, is_exact=True)) is None
