"""The start as a finite problem, and pass rates deconvolved from samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.estimate import Unresolved
from interlace.forecasting.pass_rates import deconvolved
from interlace.forecasting.start import start_of

from .starts import make_start, sampled


def test_an_enumerated_start_has_the_experts_responses_and_lumps_of_the_rest():
    held, scores = make_start(np.random.default_rng(0), 5, other=0.2)
    start = start_of(held, scores)
    pairs = np.exp(scores.expert_logprobs).reshape(5, 2)
    assert np.allclose(start.problem.reference, np.column_stack([pairs, np.full(5, 0.2), np.zeros(5)]))
    assert start.problem.reward[0].tolist() == [1.0, 0.0, 0.0, 0.0]  # the lump of other right ones is empty here
    assert np.allclose(start.other_mass, 0.2) and start.expert_reward == pytest.approx(0.6) and start.is_binary


def test_right_responses_that_are_not_the_experts_are_a_lump_of_their_own():
    held, scores = make_start(np.random.default_rng(0), 4, other=0.2)
    chances = scores.reward_probabilities + np.array([0.05, -0.05])
    problem = start_of(held, dataclasses.replace(scores, reward_probabilities=chances)).problem
    by_reward = {reward: problem.reference[0][(problem.reward[0] == reward)].sum() for reward in (0.0, 1.0)}
    assert by_reward[1.0] == pytest.approx(chances[0, 0])
    assert problem.reference[0, 2:].sum() == pytest.approx(0.2)


def test_prompts_with_different_numbers_of_responses():
    held, scores = make_start(np.random.default_rng(0), 3)
    keep = np.array([True, True, True, False, True, True])
    probability = np.array([0.6, 0.4, 1.0, 0.0, 0.6, 0.4])[keep]
    fewer = dataclasses.replace(
        held,
        prompt=held.prompt[keep],
        probability=probability,
        reward=held.reward[keep],
        num_tokens=held.num_tokens[keep],
    )
    start = start_of(fewer, dataclasses.replace(scores, expert_logprobs=scores.expert_logprobs[keep]))
    assert start.problem.expert[1].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert start.problem.reference[1, 1] == 0.0  # the slot that the prompt lacks


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expert_logprobs": None}, "not both measured"),
        ({"reward_values": None}, "not both measured"),
    ],
)
def test_what_is_missing_is_said(change, reason):
    held, scores = make_start(np.random.default_rng(0), 3)
    found = start_of(held, dataclasses.replace(scores, **change))
    assert isinstance(found, Unresolved) and reason in found.reason


def test_sampled_rewards_that_are_not_binary_are_refused():
    held, scores = make_start(np.random.default_rng(0), 3)
    few = dataclasses.replace(sampled(np.random.default_rng(1), scores, 4), reward_values=np.full((3, 4), 0.5))
    assert "other than 0 and 1" in start_of(held, few).reason


def test_sampled_rates_stay_between_what_is_known():
    rng = np.random.default_rng(3)
    held, scores = make_start(rng, 200, other=0.3)
    start = start_of(held, sampled(rng, scores, 4))
    rate = (start.problem.reference * start.problem.reward).sum(axis=-1).reshape(200, -1)
    right, wrong = np.exp(scores.expert_logprobs).reshape(200, 2).T
    assert (rate >= right[:, None] - 1e-12).all() and (rate <= 1.0 - wrong[:, None] + 1e-12).all()


@pytest.mark.parametrize("samples", [4, 8])
def test_the_law_of_pass_rates_is_deconvolved(samples):
    """Its variance over prompts, which plug-in rates exaggerate by E p(1 - p)/K, comes out right."""
    rng = np.random.default_rng(7)
    rate = rng.beta(2.0, 2.0, 4000)  # variance .05
    right = rng.binomial(samples, rate).astype(float)
    found = deconvolved(right, samples, np.zeros(4000), np.ones(4000)).draws(16)
    plug_in = right / samples
    assert found.mean() == pytest.approx(plug_in.mean(), abs=2e-3)
    assert found.var() == pytest.approx(0.05, abs=0.006)
    assert plug_in.var() > 0.05 + 0.9 * 0.2 / samples  # E p(1 - p) = .2
