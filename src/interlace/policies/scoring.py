"""Teacher forcing: log-probabilities of given responses, computed at the response's own positions only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interlace.policies.policy import Policy
from interlace.policies.tokenization import EncodedResponse

MAX_BATCH_TOKENS = 16_384
"""Context and response tokens of one forward, padding included."""
MAX_BATCH_LOGITS = 2**26
"""Vocabulary entries of one forward (256 MB in float32)."""


def response_logprobs(policy: Policy, responses: Sequence[EncodedResponse]) -> list[Float[np.ndarray, "token"]]:
    """log pi(token | context and tokens before it), nats, for every token of every response, in order.

    Computed in float32 whatever the forward's precision. Cost: one forward over all tokens; logits at response
    positions only.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(responses)
    for rows, ids, mask, logprobs in token_distributions(policy, responses):
        chosen = logprobs.gather(-1, ids[..., None])[..., 0].double().cpu().numpy()
        for row, values, real in zip(rows, chosen, mask.cpu().numpy(), strict=True):
            found[row] = values[real]
    return found


def token_distributions(
    policy: Policy, responses: Sequence[EncodedResponse]
) -> Iterator[
    tuple[list[int], Int[Tensor, "row token"], Bool[Tensor, "row token"], Float[Tensor, "row token vocabulary"]]
]:
    """Batch by batch: which responses, their ids, which ids are real, and log pi(. | prefix) at each of them, nats.

    The batches depend on the responses alone, so that two policies with one vocabulary can be walked side by side.
    """
    vocabulary = int(policy.model.config.get_text_config().vocab_size)
    for rows in _batches(responses, vocabulary):
        batch = [responses[row] for row in rows]
        input_ids, attention, keep = _left_padded(batch, policy.pad_id, policy.model.device)
        with policy.observed() as model:
            positions = (attention.cumsum(-1) - 1).clamp(min=0)
            output = model(
                input_ids=input_ids, attention_mask=attention, position_ids=positions, logits_to_keep=keep + 1
            )
        logprobs = output.logits[:, -keep - 1 : -1].float().log_softmax(-1)
        lengths = torch.tensor([len(item.response) for item in batch], device=input_ids.device)
        mask = torch.arange(keep, device=input_ids.device) >= keep - lengths[:, None]
        yield rows, input_ids[:, -keep:], mask, logprobs


def _batches(responses: Sequence[EncodedResponse], vocabulary: int) -> Iterator[list[int]]:
    """Rows of similar length together, within the limits on tokens and logits."""
    order = sorted(range(len(responses)), key=lambda row: (responses[row].num_tokens, len(responses[row].response)))
    batch: list[int] = []
    for row in order:
        grown = [*batch, row]
        context = max(len(responses[i].context) for i in grown)
        length = max(len(responses[i].response) for i in grown)
        tokens, logits = len(grown) * (context + length), len(grown) * (length + 1) * vocabulary
        if batch and (tokens > MAX_BATCH_TOKENS or logits > MAX_BATCH_LOGITS):
            yield batch
            grown = [row]
        batch = grown
    if batch:
        yield batch


def _left_padded(
    batch: Sequence[EncodedResponse], pad_id: int, device: torch.device
) -> tuple[Int[Tensor, "row column"], Int[Tensor, "row column"], int]:
    """Ids and attention mask with every response ending at the right edge, and the longest response's length."""
    width = max(item.num_tokens for item in batch)
    input_ids = torch.full((len(batch), width), pad_id, dtype=torch.long)
    attention = torch.zeros_like(input_ids)
    for row, item in enumerate(batch):
        input_ids[row, width - item.num_tokens :] = torch.tensor([*item.context, *item.response])
        attention[row, width - item.num_tokens :] = 1
    return input_ids.to(device), attention.to(device), max(len(item.response) for item in batch)
