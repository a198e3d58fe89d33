"""Starts made by hand: prompts with an expert who is right or makes one error, and a policy that also errs
otherwise."""

from __future__ import annotations

import numpy as np

from interlace.measurement import HeldOut, PromptScores


def make_start(rng, num_prompts, *, expert_right=0.6, other=0.1, known=True):
    """Each prompt: the expert's right response, its error, and what the policy does besides (all wrong)."""
    right = rng.beta(3.0, 3.0, num_prompts) * (1.0 - other)
    wrong = 1.0 - other - right
    prompt = np.repeat(np.arange(num_prompts), 2)
    held = HeldOut(
        task="made",
        num_prompts=num_prompts,
        prompt=prompt,
        probability=np.tile([expert_right, 1.0 - expert_right], num_prompts),
        reward=np.tile([1.0, 0.0], num_prompts),
        num_tokens=np.full(2 * num_prompts, 3),
        expert_is_known=known,
    )
    scores = PromptScores(
        expert_logprobs=np.log(np.column_stack([right, wrong]).ravel()),
        reward_values=np.tile([1.0, 0.0], (num_prompts, 1)),
        reward_probabilities=np.column_stack([right, 1.0 - right]),
        reward_is_exact=True,
    )
    return held, scores


def sampled(rng, scores, samples):
    """The same policy, its reward known by `samples` a prompt."""
    rate = scores.reward_probabilities[:, 0]
    rewards = (rng.random((rate.size, samples)) < rate[:, None]).astype(float)
    chances = np.full_like(rewards, 1.0 / samples)
    return PromptScores(scores.expert_logprobs, rewards, chances, reward_is_exact=False)


def make_law(rng, num_prompts, beta, mass):
    """Like `make_start`, but `mass` on the expert's responses alone is known; pass rates lie between what it leaves by
    a Beta law."""
    held, _ = make_start(rng, num_prompts)
    right = mass * rng.beta(6.0, 4.0, num_prompts)
    rate = right + (1.0 - mass) * rng.beta(*beta, num_prompts)
    scores = PromptScores(
        expert_logprobs=np.log(np.column_stack([right, mass - right]).ravel()),
        reward_values=np.tile([1.0, 0.0], (num_prompts, 1)),
        reward_probabilities=np.column_stack([rate, 1.0 - rate]),
        reward_is_exact=True,
    )
    return held, scores
