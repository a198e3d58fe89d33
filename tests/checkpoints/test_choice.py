"""The Pareto set and the three rules of a recommendation, on checkpoints whose figures are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.choice import BUDGET, EXCHANGE_RATE, NO_WORSE, Profile, pareto, recommend
from interlace.measurement import HeldOut, PromptScores

PROMPTS = 50
NOISE = np.random.default_rng(0).normal(size=PROMPTS)
NOISE -= NOISE.mean()


def profile(name: str, loss: float, reward: float, scatter: float = 0.01, prompts: int = PROMPTS) -> Profile:
    """A checkpoint with these means; `scatter` is the spread of its losses over prompts."""
    held = HeldOut(
        task="t",
        num_prompts=prompts,
        prompt=np.arange(prompts),
        probability=np.ones(prompts),
        reward=np.ones(prompts),
        num_tokens=np.ones(prompts, dtype=np.int64),
        expert_is_known=True,
    )
    rewards = np.stack([np.ones(prompts), np.zeros(prompts)], axis=1)
    shares = np.stack([np.full(prompts, reward), np.full(prompts, 1.0 - reward)], axis=1)
    scores = PromptScores(-(loss + scatter * NOISE[:prompts]), rewards, shares, True)
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
    none = "none of the 3 checkpoints measured has more reward and keeps its SFT loss within 0 nats/response of sft"
    assert recommend(stages, budget=0).reason.startswith(none)


def test_a_budget_is_met_by_the_upper_end_and_not_by_the_mean() -> None:
    stages = world(profile("sft", 0.6, 0.5), profile("near", 0.61, 0.7, 0.02), profile("noisy", 0.62, 0.9, 1.0))
    found = recommend(stages, budget=0.05)
    assert found.checkpoint == "near"
    assert "of the 3 checkpoints measured the largest reward" in found.reason
    assert "by the upper end of its interval" in found.reason
    assert found.reason.endswith("more reward (noisy) is within it by the mean alone: measure more prompts")
    line = {
        name: replace(item, kind="position")
        for name, item in world(profile("0", 0.6, 0.5), profile("1", 0.62, 0.9, 1.0)).items()
    }
    assert recommend(line, budget=0.05).reason.startswith("no blend meets the budget: none of the 2 positions measured")


def test_a_budget_chooses_as_student_t_by_hand() -> None:
    rng, chosen = np.random.default_rng(2), set()
    quantile = float(stats.t.ppf(0.975, PROMPTS - 1))
    for _ in range(30):
        figures = [(0.5 + 0.2 * rng.random(), rng.random(), 0.5 * rng.random()) for _ in range(5)]
        found = world(*(profile(str(i), *each) for i, each in enumerate(figures)))
        losses = [loss + scatter * NOISE for loss, _, scatter in figures]
        changes = [each - losses[0] for each in losses]
        uppers = [0.0, *(c.mean() + quantile * c.std(ddof=1) / PROMPTS**0.5 for c in changes[1:])]
        best = max((i for i, upper in enumerate(uppers) if upper <= 0.1), key=lambda i: figures[i][1])
        assert recommend(found, budget=0.1).checkpoint == str(best)
        chosen.add(best)
    assert len(chosen) > 2


def test_an_exchange_rate_weighs_both() -> None:
    stages = world(profile("sft", 0.6, 0.5), profile("half", 0.7, 0.7), profile("rl", 0.9, 0.9))
    assert [recommend(stages, exchange_rate=rate).checkpoint for rate in (0.0, 1.5, 5.0)] == ["rl", "half", "sft"]
    assert recommend(stages, exchange_rate=1.5).rule == EXCHANGE_RATE
    assert recommend(stages, exchange_rate=1.5).reason.startswith("of the 3 checkpoints measured the largest reward")
    assert "; next half with \u22122.800: reward \u22120.20" in recommend(stages, exchange_rate=5.0).reason


@pytest.mark.parametrize("rule", [{}, {"budget": 0.05}, {"exchange_rate": 0.3}, {"exchange_rate": 3.0}])
def test_what_is_recommended_is_in_the_pareto_set(rule: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = world(*(profile(str(i), *rng.uniform(0.1, 0.9, 2), scatter=0.0) for i in range(6)))
        assert recommend(found, **rule).checkpoint in pareto(found)
