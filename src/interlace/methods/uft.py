"""UFT: prompts hold the beginning of an expert response, ever less of it; RL on what follows, and the hint's NLL.

As in the authors' code (arXiv 2505.16984): update t = 1, 2, ... gives each prompt Binomial(5, p_t) of 5 chunks, where
p_t falls along a cosine; after `hint_steps` there are none. Deviations: a chunk is a fifth of the response's tokens,
not of its sentences; the response's end is never given; the NLL is a token mean over hints, each prompt's once.
"""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from interlace.methods.base import Follows, Groups, Hint, Imitated, Method, MethodOptions, Regrouped, Weights

CHUNKS = 5


class UftOptions(MethodOptions):
    """Of the method `uft`."""

    low: float = Field(default=0.05, ge=0.0, le=1.0)
    """A chunk's probability at the last update with hints."""
    up: float = Field(default=0.95, ge=0.0, le=1.0)
    """A chunk's probability at the stage's start."""
    hint_steps: int | None = Field(default=300, ge=1)
    """Updates with hints; null: all."""
    coef: float = Field(default=0.001, ge=0.0, allow_inf_nan=False)
    """Weight of the hint tokens' negative log-likelihood beside the RL loss."""


class Uft(Method):
    """Hints in the prompt."""

    name: ClassVar[str] = "uft"
    sentence: ClassVar[str] = "prompts hold ever less of an expert response; RL on the rest, a little SFT on the hint"
    source: ClassVar[str] = "Liu et al. 2025, UFT (arXiv 2505.16984)"
    cost: ClassVar[str] = "GRPO and one more forward and backward of each hint"
    takes: ClassVar[type[MethodOptions]] = UftOptions
    follows: ClassVar[Follows] = "groups"
    answers_prompts: ClassVar[bool] = True
    counts_imitation: ClassVar[bool] = False

    def weights(self, step: int) -> Weights:
        """1 and the hint's coefficient."""
        return Weights(1.0, self.options.coef)

    def chance(self, step: int) -> float:
        """p_t of a chunk in the update after `step` steps; 0 after the last with hints."""
        low, up = self.options.low, self.options.up
        last = self.options.hint_steps or self.plan.max_steps
        if step >= last:
            return 0.0
        return float(low + 0.5 * (up - low) * (1.0 + math.cos(math.pi * (step + 1) / last)))

    def hint(self, step: int, prompt: int, completion: int) -> Hint | None:
        """The same for all completions of a prompt."""
        chunks = int(self.plan.rng(step, prompt).binomial(CHUNKS, self.chance(step)))
        return Hint(chunks / CHUNKS, in_prompt=True) if chunks else None

    def regroup(self, groups: Groups) -> Regrouped:
        """Every hint is imitated."""
        hints = [groups.hint(prompt) for prompt in range(groups.num_prompts)]
        return Regrouped(groups.advantages, tuple(Imitated(hint) for hint in hints if hint.response))
