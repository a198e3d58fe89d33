"""Halves of the held-out prompts: one may steer methods and choose (blends, the rule best_checkpoint); the other says
what that came to, and judges every arm of a shoot-out. The rules parity and exchange_rate read all prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from interlace.analysis.trajectory import Snapshot
from interlace.measurement import HeldOut, PromptScores

CHOOSING, JUDGING = 0, 1
"""Prompts of even and of odd number."""


def half_of(snapshot: Snapshot, half: int) -> Snapshot:
    """What one half of the prompts says at a point; sums over prompts (gradients) are not kept."""
    return replace(
        snapshot, held=half_held(snapshot.held, half), scores=half_scores(snapshot.held, snapshot.scores, half)
    )


def half_held(held: HeldOut, half: int) -> HeldOut:
    """The responses to one half of the prompts."""
    kept = held.prompt % 2 == half
    return replace(
        held,
        num_prompts=len(range(half, held.num_prompts, 2)),
        prompt=held.prompt[kept] // 2,
        probability=held.probability[kept],
        reward=held.reward[kept],
        num_tokens=held.num_tokens[kept],
    )


def half_scores(held: HeldOut, scores: PromptScores, half: int) -> PromptScores:
    """What a point scored on them; sums over prompts (gradients) are not kept."""
    logprobs = scores.expert_logprobs
    return replace(
        scores,
        expert_logprobs=None if logprobs is None else logprobs[held.prompt % 2 == half],
        reward_values=_half_if_any(scores.reward_values, half),
        reward_probabilities=_half_if_any(scores.reward_probabilities, half),
        kl=_half_if_any(scores.kl, half),
        gradients=None,
        lenient_rewards=_half_if_any(scores.lenient_rewards, half),
        strict_rewards=_half_if_any(scores.strict_rewards, half),
    )


def half_values(values: Shaped[np.ndarray, "prompt *rest"], half: int) -> Shaped[np.ndarray, "half *rest"]:
    """Those of one half of the prompts, of values by prompt."""
    return values[half::2]


def _half_if_any(
    values: Shaped[np.ndarray, "prompt *rest"] | None, half: int
) -> Shaped[np.ndarray, "half *rest"] | None:
    return None if values is None else half_values(values, half)
