"""Completions sampled from a policy by its own random generator: the prompt is read once and shared by its group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from interlace.policies.padding import left_padded, positions_of
from interlace.policies.policy import Policy
from interlace.policies.tokenization import EncodedResponse

MAX_BATCH_SEQUENCES = 512
MAX_CACHE_BYTES = 2 * 2**30
"""Keys and values of one batch; a single prompt's group may take more."""


def sample_completions(
    policy: Policy, prompts: Sequence[Sequence[int]], group_size: int, max_tokens: int, rng: torch.Generator
) -> list[list[EncodedResponse]]:
    """`group_size` completions for every prompt, each at most `max_tokens` long, end-of-sequence included.

    Drawn from the policy itself (temperature 1, no truncation of the distribution) with `rng` alone. A completion
    without end-of-sequence was cut at `max_tokens`. Off the CPU the draws are made where the model is, by a generator
    there that `rng` seeds. Cost: one forward a prompt and one a sampled token; memory: `MAX_CACHE_BYTES`.
    """
    groups: list[list[EncodedResponse]] = []
    rng = _generator_on(policy.model.device, rng)
    fitting = MAX_CACHE_BYTES // (_cache_bytes(policy) * (max(map(len, prompts), default=0) + max_tokens))
    size = max(1, min(MAX_BATCH_SEQUENCES, fitting) // group_size)
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        ids = _sample_batch(policy, batch, group_size, max_tokens, rng).tolist()
        completions = [_until_eos(row, policy.eos_id) for row in ids]
        for i, prompt in enumerate(batch):
            group = completions[i * group_size : (i + 1) * group_size]
            groups.append([EncodedResponse(tuple(prompt), tuple(row), len(row)) for row in group])
    return groups


def decode_completion(policy: Policy, completion: EncodedResponse) -> str:
    """The completion's text, special tokens left out, as TRL hands it to a reward."""
    return str(policy.tokenizer.decode(completion.response, skip_special_tokens=True))


def _sample_batch(
    policy: Policy, prompts: Sequence[Sequence[int]], group_size: int, max_tokens: int, rng: torch.Generator
) -> Int[Tensor, "sequence token"]:
    input_ids, attention = left_padded(prompts, policy.pad_id, policy.model.device)
    with policy.observed() as model:
        cache = DynamicCache(config=model.config)
        output = model(
            input_ids=input_ids,
            attention_mask=attention,
            position_ids=positions_of(attention),
            past_key_values=cache,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(group_size)
        attention = attention.repeat_interleave(group_size, dim=0)
        tokens = _draw(output.logits[:, -1].repeat_interleave(group_size, dim=0), rng)
        drawn, finished = [tokens], tokens == policy.eos_id
        while len(drawn) < max_tokens and not bool(finished.all()):
            attention = torch.cat([attention, torch.ones_like(attention[:, :1])], dim=1)
            output = model(
                input_ids=tokens[:, None],
                attention_mask=attention,
                position_ids=attention.sum(-1, keepdim=True) - 1,
                past_key_values=cache,
            )
            tokens = torch.where(finished, policy.eos_id, _draw(output.logits[:, -1], rng))
            finished = finished | (tokens == policy.eos_id)
            drawn.append(tokens)
    return torch.stack(drawn, dim=1)


def _generator_on(device: torch.device, rng: torch.Generator) -> torch.Generator:
    """`rng` itself on its own device, or where `device` has no generators; else one there, seeded by `rng`."""
    if device.type == rng.device.type:
        return rng
    try:
        own = torch.Generator(device)
    except RuntimeError:
        return rng
    return own.manual_seed(int(torch.randint(2**62, (), generator=rng)))


def _cache_bytes(policy: Policy) -> int:
    """Of the keys and values of one token, as if every layer kept all of them."""
    config = policy.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * policy.model.dtype.itemsize)


def _draw(logits: Float[Tensor, "sequence vocabulary"], rng: torch.Generator) -> Int[Tensor, "sequence"]:
    probabilities = logits.float().softmax(-1)
    return torch.multinomial(probabilities.to(rng.device), 1, generator=rng)[:, 0].to(logits.device)


def _until_eos(ids: list[int], eos_id: int) -> list[int]:
    return ids[: ids.index(eos_id) + 1] if eos_id in ids else ids
