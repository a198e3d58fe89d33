"""Levels of reward stay in their range and are never certain because all samples were equal; changes are paired."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.measurement import RAW, PromptScores
from interlace.statistics import paired_change, reward_interval
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run


@pytest.fixture
def sampled(rng):
    """A run that fails all its samples at first and passes nearly all in the end."""
    problem = binary_problem(rng, prompts=64)
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 2.0, 4.0])), samples=8)
    rewards = {0: np.zeros((64, 8)), 10: np.zeros((64, 8)), 20: np.ones((64, 8))}
    rewards[20][0, 0] = 0.0
    kept = {point: with_rewards(scores, rewards[point.step]) for point, scores in record.kept.items()}
    return dataclasses.replace(record, kept=kept)


def with_rewards(scores: PromptScores, rewards: np.ndarray) -> PromptScores:
    return dataclasses.replace(
        scores, reward_values=rewards, reward_probabilities=np.full_like(rewards, 0.125), reward_is_exact=False
    )


def test_sampled_levels_have_width_and_stay_in_the_range(sampled):
    reward = summarise(sampled).stages["rl"].reward
    assert (reward.before.value, reward.before.lower) == (0.0, 0.0) and reward.before.upper > 0.01
    assert reward.after.lower < reward.after.value < reward.after.upper <= 1.0


def test_the_change_stays_a_paired_difference(sampled):
    before, after = (scores.mean_reward() for point, scores in sampled.kept.items() if point.step in (0, 20))
    assert summarise(sampled).stages["rl"].reward.change == paired_change(before, after, unit="reward units")


def test_the_reward_at_the_least_loss_is_not_certain_either(sampled):
    stage = summarise(sampled).stages["rl"]
    assert stage.least_sft_loss_step in (0, 10)
    figure = stage.landmarks[RAW].reward_at_least_sft_loss
    assert figure.lower == figure.value == 0.0 < figure.upper


def test_the_expert_is_sampled_where_only_its_responses_are_known(rng):
    problem = binary_problem(rng, prompts=64)
    run = Stage(tilted_run(problem, [0.0, 2.0]))
    for known in (True, False):
        record = make_record(problem, run, known=known)
        held = record.heldout["sums"]
        expected = reward_interval(held.per_prompt(held.reward), held.reward, is_exact=known)
        assert summarise(record).stages["rl"].expert_reward == expected
