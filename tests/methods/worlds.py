"""Hand-made inputs of a method: a plan, groups, and a softmax in float64 whose gradients have a closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interlace.methods import ExpertTokens, Groups, Method, Plan, SampledTokens, build_method
from interlace.policies import EncodedResponse

PLAN = Plan("sums", "sums", max_steps=10, prompts=3, group_size=4, expert_batch=8, seed=0)
REWARDS = [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]


def made(name: str, **options: Any) -> Method:
    return build_method({"name": name, **options}, PLAN)


def expert(prompt: int) -> EncodedResponse:
    return EncodedResponse((prompt,), (7, 8, 9, 2), 4)


def hint(prompt: int) -> EncodedResponse:
    """Two tokens of the expert's four stand in the first and third prompt, none in the second."""
    return EncodedResponse((prompt,), (7, 8) if prompt != 1 else (), 2 if prompt != 1 else 0)


def own(prompt: int, completion: int) -> EncodedResponse:
    return EncodedResponse((prompt,), (5, completion), 2)


def groups(rewards: Any = REWARDS, step: int = 0, **fields: Any) -> Groups:
    """Three prompts of four completions by default: none, two and one of them solved; advantages are centred."""
    earned = np.array(rewards)
    shape = earned.shape
    made = Groups(
        step=step,
        rewards=earned,
        advantages=(earned - earned.mean(axis=1, keepdims=True)).astype(np.float32),
        examples=list(range(10, 10 + shape[0])),
        is_expert=np.zeros(shape, dtype=np.bool_),
        is_answered=np.ones(shape[0], dtype=np.bool_),
        expert=expert,
        hint=hint,
        responses=lambda prompt: [],
        own=own,
    )
    return replace(made, **fields)


@dataclass
class Softmax:
    """Two rows of three tokens over five ids; the second row has two tokens. The start is another such softmax."""

    logits: Tensor
    start: Tensor
    ids: Tensor
    mask: Tensor

    @property
    def probabilities(self) -> Tensor:
        return self.logits.detach().softmax(-1)

    @property
    def chosen(self) -> Tensor:
        """Probability of each token."""
        return self.probabilities.gather(-1, self.ids[..., None]).squeeze(-1)

    @property
    def one_hot(self) -> Tensor:
        return torch.nn.functional.one_hot(self.ids, 5).double()

    @property
    def entropies(self) -> Tensor:
        p = self.probabilities
        return -(p * p.log()).sum(-1)

    @property
    def mean_entropies(self) -> Tensor:
        """Of the first row's three tokens, and of the second row's two."""
        e = self.entropies
        return torch.stack([e[0].mean(), e[1, :2].mean()])

    def expert_tokens(self) -> ExpertTokens:
        every = self.logits.log_softmax(-1)
        picked = every.gather(-1, self.ids[..., None]).squeeze(-1)
        return ExpertTokens(picked, self.entropies, self.mask, self.ids, every, self.start.log_softmax(-1))

    def sampled_tokens(self, is_expert: list[bool], num_given: tuple[int, int] = (0, 0)) -> SampledTokens:
        is_hint = torch.arange(3) < torch.tensor(num_given)[:, None]
        return SampledTokens(self.chosen.log(), self.entropies, self.mask, torch.tensor(is_expert), is_hint)

    def gradient(self, token_losses: Tensor) -> Tensor:
        """Of their sum over the mask, by logit."""
        (found,) = torch.autograd.grad(token_losses.masked_fill(~self.mask, 0.0).sum(), self.logits)
        return found

    def expert_gradient(self, method: Method) -> Tensor:
        return self.gradient(method.expert_loss(self.expert_tokens()))

    def policy_gradient(self, method: Method, advantages: list[float], tokens: SampledTokens) -> Tensor:
        """Of TRL's loss in an on-policy update, -A times a ratio that is 1."""
        logprobs = self.expert_tokens().logprobs
        weighed = method.token_advantages(torch.tensor(advantages, dtype=torch.float64), tokens)
        weighed = weighed[:, None] if weighed.dim() == 1 else weighed
        return self.gradient(-weighed * (logprobs - logprobs.detach()).exp())

    def weighted(self, weight: Tensor) -> Tensor:
        """weight (p - one-hot): the gradient of -weight log p, on the mask."""
        return (weight * self.mask)[..., None] * (self.probabilities - self.one_hot)


def softmax() -> Softmax:
    drawn = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 2, 3, 5)))
    return Softmax(
        logits=drawn[0].clone().requires_grad_(),
        start=drawn[1],
        ids=torch.tensor([[0, 3, 1], [4, 2, 0]]),
        mask=torch.tensor([[True, True, True], [True, True, False]]),
    )
