"""What a method keeps of a look to compare the next one with: SFT loss and reward of each prompt, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from interlace.encoding import jsonable
from interlace.measurement import PromptScores


def kept(scores: PromptScores) -> dict[str, Any]:
    """The scores on the wire; None for what was not measured."""
    return {
        "expert_logprobs": jsonable(scores.expert_logprobs),
        "reward_values": jsonable(scores.reward_values),
        "reward_probabilities": jsonable(scores.reward_probabilities),
        "reward_is_exact": scores.reward_is_exact,
    }


def scores_of(look: Mapping[str, Any]) -> PromptScores:
    """The inverse of `kept`, in float64 whatever it was: a resumed stage reads what an unbroken one reads."""
    return PromptScores(
        expert_logprobs=_array(look["expert_logprobs"]),
        reward_values=_array(look["reward_values"]),
        reward_probabilities=_array(look["reward_probabilities"]),
        reward_is_exact=bool(look["reward_is_exact"]),
    )


def _array(values: list[Any] | None) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=np.float64)  # "-inf" is read as it is meant
