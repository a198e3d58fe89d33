"""The model that interlace makes itself: the Qwen3 architecture from a config, one token a character."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from interlace.errors import RecipeError

PAD, EOS, UNKNOWN = SPECIAL = ("<pad>", "<eos>", "<unk>")
DEFAULT_SIZES: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 256,
    "max_position_embeddings": 128,
}
"""446k parameters with a vocabulary of about 20 characters: learns two-digit sums with carries in 300 SFT steps."""


def character_tokenizer(alphabet: str) -> PreTrainedTokenizerFast:
    """One token a character of `alphabet`; anything else becomes the unknown token."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *sorted(set(alphabet))])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, unk_token=UNKNOWN, padding_side="left"
    )


def embedded_config(vocabulary: int, sizes: dict[str, Any] | None = None) -> Qwen3Config:
    """The architecture for `vocabulary` tokens (padding, end-of-sequence and unknown included); `sizes` overrides.

    Raises RecipeError for sizes that Qwen3 cannot have.
    """
    merged = DEFAULT_SIZES | (sizes or {})
    if merged["num_attention_heads"] % merged["num_key_value_heads"]:
        raise RecipeError(
            f"num_attention_heads must be a multiple of num_key_value_heads. Got {merged['num_attention_heads']} and "
            f"{merged['num_key_value_heads']}. Change model_options."
        )
    return Qwen3Config(
        vocab_size=vocabulary,
        tie_word_embeddings=True,
        pad_token_id=SPECIAL.index(PAD),
        eos_token_id=SPECIAL.index(EOS),
        bos_token_id=None,
        **merged,
    )


def make_embedded(folder: Path, alphabet: str, seed: int, sizes: dict[str, Any] | None = None) -> Path:
    """Write a freshly initialised model and its tokenizer to `folder`; the same seed gives the same weights.

    `sizes` overrides `DEFAULT_SIZES`, in the names of Qwen3Config. The global random state is left as it was.
    """
    tokenizer = character_tokenizer(alphabet)
    config = embedded_config(len(tokenizer), sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
