"""Policy: a causal language model with its tokenizer, ready to be trained, scored and sampled."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from transformers import PreTrainedTokenizerBase

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    CausalModel: TypeAlias = PreTrainedModel
else:
    CausalModel = torch.nn.Module
    """A PreTrainedModel, or PEFT's wrapper of one, which derives from Module alone and passes on what it is asked."""

from interlace.errors import ModelError


def independent_copy(model: CausalModel) -> CausalModel:
    """A deep copy whose forward is its own.

    Trainers replace `model.forward` by closures over the model they train; a plain deep copy keeps them, and would
    silently run the original's weights.
    """
    twin = copy.deepcopy(model)
    for module in twin.modules():
        module.__dict__.pop("forward", None)
    return twin


def refuse_other_vocabulary(policy: Policy, other: Policy, name: str) -> None:
    """Raise ModelError unless `other`, given as `name`, gives probabilities to the policy's own tokens."""
    if not policy.shares_vocabulary(other):
        raise ModelError(
            f"{name} must have the policy's vocabulary, or there is no KL between them. Got another one. "
            "Give a policy trained from the same base model."
        )


@dataclass(frozen=True)
class Policy:
    """A model and its tokenizer."""

    model: CausalModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def pad_id(self) -> int:
        """The token that fills batches; end-of-sequence where the tokenizer has no padding token."""
        token = self.tokenizer.pad_token_id
        return int(self.eos_id if token is None else token)

    @property
    def eos_id(self) -> int:
        """The token that ends a response."""
        return int(self.tokenizer.eos_token_id)

    @property
    def context_tokens(self) -> int:
        """The longest sequence that the model takes, tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", 2**31))

    def shares_vocabulary(self, other: Policy) -> bool:
        """Whether both give probabilities to the same tokens, so that there is a KL between them."""
        sizes = {int(each.model.config.get_text_config().vocab_size) for each in (self, other)}
        return len(sizes) == 1 and self.tokenizer.get_vocab() == other.tokenizer.get_vocab()

    def weights(self) -> dict[str, torch.Tensor]:
        """The policy's own weights by name, outside `observed`: views without gradient, no copies."""
        return {name: weight.detach() for name, weight in self.model.named_parameters()}

    def num_parameters(self) -> int:
        """Parameters, tied ones once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def with_model(self, model: CausalModel) -> Policy:
        """The same tokenizer over other weights."""
        return Policy(model, self.tokenizer)

    @contextmanager
    def observed(self) -> Iterator[CausalModel]:
        """The model for looking only: evaluation mode, no gradient, and its own forward in its weights' precision.

        Every module's mode, and the forward that a trainer may have put in its place (in bfloat16, say, which reads the
        SFT loss of the 135M model up to 0.2 nats wrong), are restored afterwards: a look leaves no trace in training.
        """
        training = [module for module in self.model.modules() if module.training]
        trainers_forward = self.model.__dict__.pop("forward", None)
        self.model.eval()
        try:
            with torch.no_grad():
                yield self.model
        finally:
            for module in training:
                module.training = True
            if trainers_forward is not None:
                self.model.__dict__["forward"] = trainers_forward
