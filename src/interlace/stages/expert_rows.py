"""Expert responses for a hybrid stage: a stream of training rows, and responses to prompts in hand.

Both depend on the seed and the optimizer step alone, never on what was drawn before: a resumed stage goes on with the
rows of an unbroken one, and every process knows all rows of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interlace.methods import Given, Imitated
from interlace.policies import EncodedResponse
from interlace.policies.padding import right_padded
from interlace.policies.tokenization import encode_response
from interlace.stages.base import StageRequest
from interlace.tasks.base import Task

IGNORED = -100
"""The label of a token that is not imitated, in Transformers' convention."""


@dataclass(frozen=True)
class ExpertRows:
    """The expert of `task`; `is_own`: the prompts in hand are of that task, so that it may answer them."""

    task: Task
    tokenizer: PreTrainedTokenizerBase
    entropy: tuple[int, ...]
    is_own: bool = True

    @classmethod
    def of(cls, request: StageRequest, tokenizer: PreTrainedTokenizerBase) -> ExpertRows:
        """Those of a stage."""
        own = request.imitated is request.task
        return cls(request.imitated, tokenizer, (request.seed, *request.stage.encode()), own)

    def stream(self, step: int, count: int) -> list[EncodedResponse]:
        """The training rows of a step, `count` a step: passes over the data in an order drawn anew each, responses
        drawn anew each time where the expert is known."""
        if self.task.fresh_draws:
            rows = self.task.sft_rows(self._rng(step), count)
        else:
            rows = [self._rows[place] for place in self._places(step * count, (step + 1) * count)]
        return [self._encoded(row) for row in rows]

    def answers(self, example: int) -> bool:
        """Whether the expert responds to a training example: to none of another task, perhaps not to all of its own."""
        return self.is_own and bool(self.task.train[example].responses)

    def response(self, example: int, step: int) -> EncodedResponse:
        """A response that the expert gives to a training example which it answers, drawn from its distribution."""
        responses = self.task.train[example].responses
        edges = np.cumsum([response.probability for response in responses])
        place = min(int(np.searchsorted(edges, self._rng(step, example).random(), side="right")), len(responses) - 1)
        return encode_response(self.tokenizer, self.task.train[example].prompt, responses[place].text)

    def responses(self, example: int) -> list[Given]:
        """All that the expert gives to a training example, with p_D and reward; nothing where it does not answer."""
        found = self.task.train[example]
        return [
            Given(
                encode_response(self.tokenizer, found.prompt, item.text),
                item.probability,
                float("nan") if item.reward is None else item.reward,
            )
            for item in found.responses
        ]

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return self.task.sft_rows(np.random.default_rng(0))

    def _places(self, first: int, last: int) -> list[int]:
        """Rows `first` to before `last` of endless shuffled passes."""
        size = len(self._rows)
        orders = {turn: self._rng(turn).permutation(size) for turn in range(first // size, (last - 1) // size + 1)}
        return [int(orders[place // size][place % size]) for place in range(first, last)]

    def _rng(self, *place: int) -> np.random.Generator:
        return np.random.default_rng([*self.entropy, *place])

    def _encoded(self, row: Mapping[str, Any]) -> EncodedResponse:
        prompt, completion = row["prompt"], row["completion"]
        text = completion if isinstance(completion, str) else completion[0]["content"]
        return encode_response(self.tokenizer, prompt if isinstance(prompt, str) else tuple(prompt), text)


@dataclass(frozen=True)
class ImitationBatch:
    """Responses to imitate in one micro-batch; `num_tokens`: the weights' sum over the tokens of the
    whole update, over all processes."""

    ids: Int[Tensor, "row column"]
    attention: Int[Tensor, "row column"]
    labels: Int[Tensor, "row column"]
    weights: Float[Tensor, "row 1"]
    num_tokens: float

    @property
    def mask(self) -> Bool[Tensor, "row token"]:
        """Which of the predicted tokens (all but the first) are imitated."""
        return self.labels[:, 1:] != IGNORED


def imitation_batch(
    rows: Sequence[Imitated], part: int, parts: int, pad_id: int, device: torch.device
) -> ImitationBatch | None:
    """Part `part` of the `parts` (micro-batches times processes) that share an update's rows; None without rows.

    Every part has as many rows, at least one, so that all processes do the same forwards: those that lack one repeat
    the first with weight 0.
    """
    if not rows:
        return None
    mine = list(rows[part::parts])
    missing = -(-len(rows) // parts) - len(mine)
    mine += [Imitated(rows[0].response, 0.0)] * missing
    responses = [row.response for row in mine]
    ids, real = right_padded([[*item.context, *item.response] for item in responses], pad_id, device)
    contexts = torch.tensor([len(item.context) for item in responses], device=device)
    imitated = real & (torch.arange(ids.shape[1], device=device) >= contexts[:, None])
    weights = torch.tensor([[row.weight] for row in mine], dtype=torch.float32, device=device)
    total = float(sum(row.weight * len(row.response.response) for row in rows))
    return ImitationBatch(ids, real.long(), ids.masked_fill(~imitated, IGNORED), weights, total)
