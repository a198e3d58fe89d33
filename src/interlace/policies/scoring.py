"""Teacher forcing: log-probabilities of given responses. A context is read once for all the responses that share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from interlace.policies.padding import left_padded, positions_of, right_padded
from interlace.policies.policy import Policy
from interlace.policies.tokenization import EncodedResponse

MAX_BATCH_TOKENS = 16_384
"""Context and response tokens of one batch, padding included."""
MAX_BATCH_LOGITS = 2**26
"""Vocabulary entries of one batch (256 MB in float32)."""


@dataclass(frozen=True)
class ScoredBatch:
    """What a policy says of some responses: `rows` says which, `ids` are their tokens (padded at the end where `mask`
    is false), `logprobs` is log pi(. | prefix) before each of them, nats, in float32."""

    rows: list[int]
    ids: Int[Tensor, "row token"]
    mask: Bool[Tensor, "row token"]
    logprobs: Float[Tensor, "row token vocabulary"]


def response_logprobs(policy: Policy, responses: Sequence[EncodedResponse]) -> list[Float[np.ndarray, "token"]]:
    """log pi(token | context and tokens before it), nats, for every token of every response, in order.

    Computed in float32 whatever the forward's precision. Cost: one forward over the distinct contexts and one over the
    response tokens; logits at response positions only.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(responses)
    for batch in token_distributions(policy, responses):
        chosen = batch.logprobs.gather(-1, batch.ids[..., None])[..., 0].double().cpu().numpy()
        for row, values, real in zip(batch.rows, chosen, batch.mask.cpu().numpy(), strict=True):
            found[row] = values[real]
    return found


def token_distributions(policy: Policy, responses: Sequence[EncodedResponse]) -> Iterator[ScoredBatch]:
    """The policy's distribution at every prefix of every response, batch by batch.

    The batches depend on the responses alone, so that two policies with one vocabulary can be walked side by side.
    """
    vocabulary = int(policy.model.config.get_text_config().vocab_size)
    for rows in _batches(responses, vocabulary):
        yield _score(policy, rows, [responses[row] for row in rows])


def _score(policy: Policy, rows: list[int], batch: Sequence[EncodedResponse]) -> ScoredBatch:
    device, pad = policy.model.device, policy.pad_id
    contexts = list(dict.fromkeys(item.context for item in batch))
    index = {context: i for i, context in enumerate(contexts)}
    which = torch.tensor([index[item.context] for item in batch], device=device)
    context_ids, attention = left_padded(contexts, pad, device)
    ids, mask = right_padded([item.response for item in batch], pad, device)
    with policy.observed() as model:
        cache = DynamicCache(config=model.config)
        first = model(
            input_ids=context_ids,
            attention_mask=attention,
            position_ids=positions_of(attention),
            past_key_values=cache,
            logits_to_keep=1,
        ).logits[which]
        if ids.shape[1] == 1:
            return ScoredBatch(rows, ids, mask, first.float().log_softmax(-1))
        cache.batch_select_indices(which)
        whole = torch.cat([attention[which], mask[:, :-1].to(attention.dtype)], dim=1)
        rest = model(
            input_ids=ids[:, :-1],
            attention_mask=whole,
            position_ids=positions_of(whole)[:, attention.shape[1] :],
            past_key_values=cache,
        ).logits
    return ScoredBatch(rows, ids, mask, torch.cat([first, rest], dim=1).float().log_softmax(-1))


def _batches(responses: Sequence[EncodedResponse], vocabulary: int) -> Iterator[list[int]]:
    """Rows of similar length together and rows of one context side by side, within the limits on tokens and logits."""
    order = sorted(range(len(responses)), key=lambda row: (len(responses[row].context), responses[row].context, row))
    batch: list[int] = []
    context, length = 0, 0
    for row in order:
        context = max(context, len(responses[row].context))
        length = max(length, len(responses[row].response))
        size = len(batch) + 1
        if batch and (size * (context + length) > MAX_BATCH_TOKENS or size * length * vocabulary > MAX_BATCH_LOGITS):
            yield batch
            batch, context, length = [], len(responses[row].context), len(responses[row].response)
        batch.append(row)
    if batch:
        yield batch
