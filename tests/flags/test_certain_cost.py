"""The flag on D13's floor: only where the reward's range is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.flags import base
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


def at_the_boundary(rng: np.random.Generator, skewed: bool, level: float) -> Evidence:
    """The start's mean excess over the expert's entropy is the floor's: each prompt's expert is a coin of its own.

    `skewed`: a few prompts carry the excess (log-normal); else it makes up for the entropy, so that the loss itself is
    the same everywhere, and only the held-out prompts' entropy tells one from the other.
    """
    floor = 2.0 * 0.3**2
    rates = np.clip(rng.random(PROMPTS), 1e-9, 1.0 - 1e-9)
    entropy = -rates * np.log(rates) - (1.0 - rates) * np.log(1.0 - rates)  # 1/2 on average
    loss = entropy + floor * np.exp(rng.standard_normal(PROMPTS) - 0.5) if skewed else np.full(PROMPTS, 0.5 + floor)
    held = HeldOut(
        "t", PROMPTS, np.repeat(np.arange(PROMPTS), 2), np.stack([rates, 1.0 - rates], axis=1).ravel(),
        np.full(2 * PROMPTS, 0.5), np.ones(2 * PROMPTS, dtype=int), True,
    )  # fmt: skip
    rewards = np.tile([0.0, 1.0], (PROMPTS, 1))
    start, now = (
        PromptScores(np.repeat(-loss, 2), rewards, np.tile([1.0 - mean, mean], (PROMPTS, 1)), True)
        for mean in (0.5, 0.8)
    )
    return Evidence("rl", 1, level, held, start, now)


@pytest.mark.parametrize("skewed", [True, False])
def test_at_the_boundary_it_is_raised_no_more_often_than_its_share(
    skewed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the bound on a wobble, which would hide it. With the entropy's error left out it was up to one in two."""
    monkeypatch.setattr(base, "MATERIAL", 0.0)
    rng, runs, level = np.random.default_rng(0), 1000, 0.96
    raised = sum(CertainCost().raised(at_the_boundary(rng, skewed, level)) is not None for _ in range(runs))
    error = (1.0 - level) / 2.0
    assert raised / runs <= error + 3.0 * np.sqrt(error / runs)


def test_of_a_known_expert_what_is_said_is_above_its_entropy() -> None:
    evidence = at_the_boundary(np.random.default_rng(0), False, 0.99)
    assert CertainCost().raised(evidence) is None
    far = replace(evidence, scores=replace(evidence.scores, reward_probabilities=np.tile([0.0, 1.0], (PROMPTS, 1))))
    said = CertainCost().raised(far)
    assert said is not None and "no method comes closer to the expert's entropy than 0.500 nats/response" in said
