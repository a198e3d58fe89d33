"""Which trainers can be looked at, and what they train: read from Transformers' own names, TRL need not be there."""

from __future__ import annotations

import os
from typing import Any

from transformers import PreTrainedModel, TrainingArguments

from interlace.errors import ModelError
from interlace.policies import Policy

KINDS = {
    "GRPOConfig": "rl",
    "RLOOConfig": "rl",
    "DPOConfig": "preference",
    "KTOConfig": "preference",
    "SFTConfig": "sft",
    "GKDConfig": "training",
    "GOLDConfig": "training",
}
"""A trainer's config, or the nearest class that it derives from: the kind of stage. TRL's distillation on the policy's
own samples derives from its SFT."""
UNKNOWN = "training"
"""The kind of stage of every other config, a plain Trainer's too: its user says what the loss is, not its config."""

OPTIONS = (
    "learning_rate",
    "lr_scheduler_type",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
    "bf16",
    "seed",
    "loss_type",
    "beta",
    "num_generations",
    "num_iterations",
    "scale_rewards",
    "max_completion_length",
    "max_length",
)
"""What is kept of a trainer's arguments."""

SHARDED = ("FSDP", "DEEPSPEED")


def stage_kind(args: TrainingArguments) -> str:
    """`sft`, `rl` or `preference` where the arguments' class tells it, else `training`."""
    return next((KINDS[base.__name__] for base in type(args).__mro__ if base.__name__ in KINDS), UNKNOWN)


def stage_options(args: TrainingArguments) -> dict[str, Any]:
    """The arguments that say what was trained, as far as this trainer has them."""
    found = {name: getattr(args, name) for name in OPTIONS if getattr(args, name, None) is not None}
    return {name: value if isinstance(value, int | float | bool) else str(value) for name, value in found.items()}


def policy_of(model: Any, processing_class: Any) -> Policy:
    """The policy that a trainer trains. Of a PEFT model it is the base model, which its adapters were put into; a
    processor stands for its tokenizer.

    Raises ModelError for what has no next-token distribution (a reward model, an encoder-decoder), an adapter that is
    not in the base model (a learned prompt), or no tokenizer with an end-of-sequence token.
    """
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        raise ModelError(
            "an adapter must live in the model's layers. Got a learned prompt, which only PEFT's own forward adds. "
            "Train LoRA or another adapter of layers, or train without attaching."
        )
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    refuse_other_models(inner)
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    if getattr(tokenizer, "eos_token_id", None) is None:
        raise ModelError(
            "the trainer must have a tokenizer with an end-of-sequence token. Got "
            f"{type(tokenizer).__name__}. Give the trainer processing_class=tokenizer."
        )
    return Policy(inner, tokenizer)


def refuse_other_models(model: PreTrainedModel) -> None:
    """Raise ModelError unless `model` is a causal language model."""
    if getattr(model.config, "is_encoder_decoder", False) or not model.can_generate():
        raise ModelError(
            f"the trainer must train a causal language model, whose responses have probabilities. Got "
            f"{type(model).__name__}, which has none. Attach to the trainer of the policy instead."
        )


def refuse_sharded(args: TrainingArguments) -> None:
    """Raise ModelError where no process holds all the weights: one process alone could not look at them."""
    used = [name for name in SHARDED if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() in ("true", "1")]
    used += [name.upper() for name in ("fsdp", "deepspeed") if getattr(args, name, None)]
    if used:
        raise ModelError(
            f"the trainer must keep whole weights in each process. It uses {used[0]}, which may shard them. Measure "
            "its checkpoints instead, or train with DDP."
        )
