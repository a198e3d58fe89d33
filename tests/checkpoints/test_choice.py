"""The Pareto set and the three rules of a recommendation, on checkpoints whose figures are chosen."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.choice import BUDGET, EXCHANGE_RATE, NO_WORSE, Profile, pareto, recommend
from interlace.measurement import HeldOut, PromptScores

PROMPTS = 50
NOISE = np.random.default_rng(0).normal(size=PROMPTS)
NOISE -= NOISE.mean()


def profile(name: str, loss: float, reward: float, scatter: float = 0.01) -> Profile:
    """A checkpoint with these means; `scatter` is the spread of its losses over prompts."""
    held = HeldOut(
        task="t",
        num_prompts=PROMPTS,
        prompt=np.arange(PROMPTS),
        probability=np.ones(PROMPTS),
        reward=np.ones(PROMPTS),
        num_tokens=np.ones(PROMPTS, dtype=np.int64),
        expert_is_known=True,
    )
    rewards = np.stack([np.ones(PROMPTS), np.zeros(PROMPTS)], axis=1)
    shares = np.stack([np.full(PROMPTS, reward), np.full(PROMPTS, 1.0 - reward)], axis=1)
    scores = PromptScores(-(loss + scatter * NOISE), rewards, shares, True)
    return Profile(name, {"t": Snapshot(held, 0, None, scores)})


def world(*profiles: Profile) -> dict[str, Profile]:
    return {item.name: item for item in profiles}


PIPELINE = world(
    profile("start", 2.0, 0.1), profile("sft", 0.6, 0.5), profile("rl", 0.9, 0.9), profile("worse", 1.0, 0.8)
)


def test_the_pareto_set_is_what_nothing_beats() -> None:
    assert pareto(PIPELINE) == ("sft", "rl")


def test_equal_checkpoints_are_both_in_it() -> None:
    assert pareto(world(profile("one", 1.0, 0.5), profile("two", 1.0, 0.5))) == ("one", "two")


def test_a_loss_that_is_not_finite_is_the_worst() -> None:
    assert pareto(world(profile("fine", 1.0, 0.5), profile("broken", np.inf, 0.5, 0.0))) == ("fine",)
    assert recommend(world(profile("fine", 1.0, 0.5), profile("broken", np.inf, 0.9, 0.0))).checkpoint == "fine"


def test_without_a_rule_reward_is_taken_where_sft_loss_is_not_resolved_worse() -> None:
    found = recommend(PIPELINE)
    assert (found.checkpoint, found.rule) == ("sft", NO_WORSE)
    assert "more reward (rl, worse) only at an SFT loss resolved above it" in found.reason
    near = recommend(world(profile("sft", 0.6, 0.5), profile("rl", 0.601, 0.9, scatter=0.02)))
    assert near.checkpoint == "rl"
    assert "reward +0.40" in near.reason and near.reason.endswith("against sft, and no less reward")
    assert "no worse (within 5% of the least by the upper end of its interval)" in near.reason


def test_a_rise_that_is_not_resolved_is_not_known_to_be_no_worse() -> None:
    noisy = recommend(world(profile("sft", 0.6, 0.5), profile("rl", 0.61, 0.9, scatter=1.0)))
    assert noisy.checkpoint == "sft"
    assert "more reward (rl) at an SFT loss that is not known to be no worse" in noisy.reason
    assert "measure more prompts" in noisy.reason and "resolved above" not in noisy.reason


def test_a_budget_is_what_sft_loss_may_rise_above_the_first() -> None:
    stages = world(profile("sft", 0.6, 0.5), profile("half", 0.7, 0.7), profile("rl", 0.9, 0.9))
    assert [recommend(stages, budget=nats).checkpoint for nats in (0.0, 0.15, 0.4)] == ["sft", "half", "rl"]
    assert recommend(stages, budget=0.15).rule == BUDGET
    assert (
        "nothing with more reward keeps its SFT loss within 0.000 nats/response" in recommend(stages, budget=0).reason
    )


def test_an_exchange_rate_weighs_both() -> None:
    stages = world(profile("sft", 0.6, 0.5), profile("half", 0.7, 0.7), profile("rl", 0.9, 0.9))
    assert [recommend(stages, exchange_rate=rate).checkpoint for rate in (0.0, 1.5, 5.0)] == ["rl", "half", "sft"]
    assert recommend(stages, exchange_rate=1.5).rule == EXCHANGE_RATE
    assert "; next half with \u22122.800: reward \u22120.20" in recommend(stages, exchange_rate=5.0).reason


@pytest.mark.parametrize("rule", [{}, {"budget": 0.05}, {"exchange_rate": 0.3}, {"exchange_rate": 3.0}])
def test_what_is_recommended_is_in_the_pareto_set(rule: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = world(*(profile(str(i), *rng.uniform(0.1, 0.9, 2), scatter=0.0) for i in range(6)))
        assert recommend(found, **rule).checkpoint in pareto(found)
