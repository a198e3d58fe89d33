"""From a checkpoint that was looked at to a policy: dense weights, adapters merged into their base, no network."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from interlace.checkpoints.found import Checkpoint
from interlace.errors import ModelError
from interlace.policies import Policy, load_policy, source_of
from interlace.policies.device import training_device
from interlace.policies.loading import offline

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


def load_checkpoint(checkpoint: Checkpoint, dtype: str = "float32") -> Policy:
    """The policy of a checkpoint (`find_checkpoints` has looked at it) in `dtype`, on the device of training.

    An adapter is merged into its base, so that what follows sees dense weights, and gradients are those of all of them.
    A .gguf is converted once into the user's cache. Cost: the weights in memory; of an adapter, its base's.

    Raises ModelError if the weights, the adapter or the tokenizer do not load, or weights are not finite.
    """
    with offline():
        if checkpoint.kind == "adapter":
            policy = _with_adapter(checkpoint, dtype)
        else:
            policy = load_policy(source_of(str(checkpoint.path)), dtype)
    _refuse_broken(policy, checkpoint)
    policy.model.to(training_device())
    return policy


def _refuse_broken(policy: Policy, checkpoint: Checkpoint) -> None:
    broken = [name for name, weight in policy.model.named_parameters() if not torch.isfinite(weight).all()]
    if broken:
        raise ModelError(
            f"{checkpoint.path} must hold finite weights. {len(broken)} of its parameters do not, {broken[0]} first. "
            "Measure an earlier checkpoint."
        )


def adapted(checkpoint: Checkpoint, dtype: str = "float32") -> tuple[PeftModel, Policy]:
    """An adapter on its base, not merged, and the base's policy. Raises ModelError if either does not load."""
    assert checkpoint.base is not None
    base = load_policy(source_of(str(checkpoint.base)), dtype)
    try:
        return PeftModel.from_pretrained(base.model, str(checkpoint.path)), base
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise ModelError(
            f"adapter {checkpoint.path} must fit its base {checkpoint.base}. It does not: {str(error)[:200]} "
            "Say --base FOLDER."
        ) from error


def _with_adapter(checkpoint: Checkpoint, dtype: str) -> Policy:
    model, base = adapted(checkpoint, dtype)
    merged = model.merge_and_unload().requires_grad_(True)  # PEFT has frozen the base
    return Policy(merged, _own_tokenizer(checkpoint.path) or base.tokenizer)


def _own_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """The tokenizer saved with the adapter, if there is one that ends responses."""
    if not any((folder / name).exists() for name in TOKENIZERS):
        return None
    tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        return None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer
