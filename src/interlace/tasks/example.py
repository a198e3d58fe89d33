"""Example: a prompt with everything known about it, the expert's distribution over responses included."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from interlace.encoding import jsonable
from interlace.errors import DataError
from interlace.rewards.base import Completion, Rewarded

Prompt: TypeAlias = str | tuple[Mapping[str, str], ...]
"""Plain text, or chat messages (each with `role` and `content`) for the model's own template."""


@dataclass(frozen=True, slots=True)
class ExpertResponse:
    """One response of the expert: its text, p_D(response | prompt) in (0, 1], its reward (None: it was not scored)."""

    text: str
    probability: float
    reward: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt with everything known about it.

    `responses` is the expert's distribution given the prompt: the true one where it is known, else the observed
    responses with their frequencies; probabilities sum to 1, and there are none in a task without expert. `columns` is
    what the reward receives. `rewarded` lists every response that earns a reward other than 0, if they can be listed
    (then the expected reward is enumerated), else None. `num_rows` counts the rows of data that the example stands for.

    Raises DataError if the probabilities do not sum to 1.
    """

    prompt: Prompt
    responses: tuple[ExpertResponse, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)
    rewarded: Rewarded | None = None
    num_rows: int = 1

    def __post_init__(self) -> None:
        total = math.fsum(response.probability for response in self.responses)
        if self.responses and not math.isclose(total, 1.0, abs_tol=1e-9):
            raise DataError(f"expert probabilities must sum to 1. Got {total} for {self.prompt!r}. Normalise them.")

    @property
    def expert_reward(self) -> float | None:
        """E over the expert's responses of the reward, reward units; None if a response was not scored."""
        rewards = [response.reward for response in self.responses]
        if not rewards or None in rewards:
            return None
        return math.fsum(r.probability * r.reward for r in self.responses if r.reward is not None)

    @property
    def expert_entropy(self) -> float:
        """Entropy of `responses`, nats.

        >>> Example("27+58=", (ExpertResponse("580", 0.5), ExpertResponse("570", 0.5))).expert_entropy == math.log(2)
        True
        """
        return -math.fsum(response.probability * math.log(response.probability) for response in self.responses)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text in the example: the prompt's, the expert's responses', the rewarded ones'."""
        rewarded = tuple(text for text, _ in self.rewarded or ())
        return prompt_texts(self.prompt) + tuple(response.text for response in self.responses) + rewarded

    def canonical(self) -> str:
        """All of the content as one line of JSON, columns sorted by name: what fingerprints are taken of."""
        content = {
            "prompt": self.prompt,
            "responses": [[response.text, response.probability, response.reward] for response in self.responses],
            "columns": {name: self.columns[name] for name in sorted(self.columns)},
            "rewarded": self.rewarded,
            "num_rows": self.num_rows,
        }
        return json.dumps(content, default=jsonable)


def prompt_key(prompt: Prompt) -> str:
    """A text that two prompts share if and only if they are equal: what splits and groups go by."""
    return json.dumps(prompt)


def prompt_texts(prompt: Prompt) -> tuple[str, ...]:
    """The prompt's text, or its messages' contents."""
    return (prompt,) if isinstance(prompt, str) else tuple(message["content"] for message in prompt)


def for_trainer(prompt: Prompt) -> str | list[dict[str, str]]:
    """The prompt as TRL's trainers take it."""
    return prompt if isinstance(prompt, str) else [dict(message) for message in prompt]


def completion_for(prompt: Prompt, text: str) -> Completion:
    """`text` as a completion of `prompt`: itself, or one assistant message after chat messages."""
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
