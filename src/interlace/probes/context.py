"""ProbeContext: one look at one policy. Every need is computed once, lazily, and shared by the probes that read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from interlace.errors import DataError
from interlace.policies import EncodedResponse, Policy, decode_completion, response_logprobs, sample_completions
from interlace.probes.target import MeasuredTask

MAX_PROMPTS_FOR_DIVERGENCE = 64
"""Divergence is exact over the vocabulary at each prefix, so few completions resolve it."""


@dataclass(frozen=True)
class ProbeContext:
    """The policy that is looked at, the policy at the stage's start, and the held-out set.

    `completions_per_prompt` are sampled where something must be sampled, by a generator seeded with `seed` alone: a
    measurement neither reads nor moves the global random state.
    """

    policy: Policy
    start: Policy
    target: MeasuredTask
    completions_per_prompt: int
    seed: int
    level: float = 0.95

    @cached_property
    def logprobs(self) -> list[Float[np.ndarray, "token"]]:
        """log pi of every token of every wanted response, nats. Cost: one forward over the held-out set."""
        return response_logprobs(self.policy, self.target.responses)

    @cached_property
    def completions(self) -> list[list[EncodedResponse]]:
        """Sampled from the policy: a group for every prompt where the reward must be sampled, else one for each of the
        first `MAX_PROMPTS_FOR_DIVERGENCE` prompts, which is all that is read then."""
        rng = torch.Generator().manual_seed(self.seed)
        prompts, group = self.target.prompts, self.completions_per_prompt
        if self.target.rewarded is not None:
            prompts, group = prompts[:MAX_PROMPTS_FOR_DIVERGENCE], 1
        return sample_completions(self.policy, prompts, group, self.target.max_response_tokens, rng)

    @cached_property
    def sampled_rewards(self) -> Float[np.ndarray, "prompt completion"]:
        """The reward of every sampled completion, reward units.

        Raises DataError if the reward leaves a held-out completion unscored: there is then no expected reward.
        """
        reward, examples = self.target.task.reward, self.target.examples
        assert reward is not None
        rows = [(example, item) for example, group in zip(examples, self.completions, strict=True) for item in group]
        columns = {key: [example.columns[key] for example, _ in rows] for key in examples[0].columns}
        texts = [decode_completion(self.policy, item) for _, item in rows]
        chat = not isinstance(examples[0].prompt, str)
        given = [[{"role": "assistant", "content": text}] for text in texts] if chat else texts
        rewards = reward(
            prompts=[example.prompt for example, _ in rows],
            completions=given,
            completion_ids=[list(item.response) for _, item in rows],
            **columns,
        )
        if any(value is None for value in rewards):
            raise DataError("a reward must score every held-out completion. It returned None. Return a number instead.")
        return np.array(rewards, dtype=np.float64).reshape(len(examples), -1)
