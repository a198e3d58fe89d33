"""Prompts and responses as token ids, cut exactly where TRL's trainers cut them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from interlace.errors import DataError
from interlace.tasks.base import Prompt


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """A response in its context. `context` are the ids before it, `response` its own, end-of-sequence included.

    `generated` counts the leading response ids that sampling would have produced: up to the first end-of-sequence. A
    chat template may add more after it, which SFT trains on and a policy never samples.
    """

    context: tuple[int, ...]
    response: tuple[int, ...]
    generated: int

    @property
    def num_tokens(self) -> int:
        """Length of context and response together."""
        return len(self.context) + len(self.response)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The ids that a completion is sampled after (chat prompts: with the generation prompt)."""
    if isinstance(prompt, str):
        return list(tokenizer(text=prompt)["input_ids"])
    return _chat_ids(tokenizer, list(prompt), add_generation_prompt=True)


def encode_response(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, text: str) -> EncodedResponse:
    """Context and response ids of one pair: tokenized together, cut where they leave the prompt's own ids."""
    prompt_ids = encode_prompt(tokenizer, prompt)
    whole = _whole_ids(tokenizer, prompt, text)
    cut = _common_prefix(prompt_ids, whole)
    response = whole[cut:]
    eos = tokenizer.eos_token_id
    generated = response.index(eos) + 1 if eos in response else len(response)
    return EncodedResponse(tuple(whole[:cut]), tuple(response), generated)


def encode_responses(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[Prompt, str]], max_tokens: int
) -> list[EncodedResponse]:
    """All pairs. Raises DataError for the first that is longer than `max_tokens`, tokens."""
    encoded = [encode_response(tokenizer, prompt, text) for prompt, text in pairs]
    for item, (prompt, text) in zip(encoded, pairs, strict=True):
        if item.num_tokens > max_tokens:
            raise DataError(
                f"prompt and expert response must fit the context of {max_tokens} tokens. Got {item.num_tokens} for "
                f"prompt {str(prompt)[:60]!r} and response {text[:60]!r}. Exclude long rows "
                "(`exclude: {max_characters: N}`), or take a longer context (max_length of sft, the model's own)."
            )
    return encoded


def refuse_long_responses(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[Prompt, str]], max_tokens: int
) -> None:
    """Raise DataError for the first pair that is longer than `max_tokens`, encoding only those that could be.

    A text has at most as many tokens as bytes, beside what a chat template adds.
    """
    if not pairs:
        return
    first = encode_response(tokenizer, *pairs[0])
    added = max(0, first.num_tokens - _num_bytes(*pairs[0])) + 16
    encode_responses(tokenizer, [pair for pair in pairs if _num_bytes(*pair) + added > max_tokens], max_tokens)


def _num_bytes(prompt: Prompt, text: str) -> int:
    messages = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return sum(len(part.encode()) for part in (*messages, text))


def _whole_ids(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, text: str) -> list[int]:
    if not isinstance(prompt, str):
        return _chat_ids(tokenizer, [*prompt, {"role": "assistant", "content": text}])
    ended = text if text.endswith(str(tokenizer.eos_token)) else text + str(tokenizer.eos_token)
    return list(tokenizer(text=prompt + ended)["input_ids"])


def _chat_ids(tokenizer: PreTrainedTokenizerBase, messages: list[Any], **options: Any) -> list[int]:
    if tokenizer.chat_template is None:
        raise DataError(
            "a task of chat messages must meet a tokenizer with a chat template. This one has none. "
            "Use plain prompts (`conversational: false`) or a chat model."
        )
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"])


def _common_prefix(first: list[int], second: list[int]) -> int:
    for i, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return i
    return min(len(first), len(second))
