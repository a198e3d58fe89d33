"""The slow obvious twins: one response at a time without padding or cache, the Hessian as a whole matrix."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from interlace.policies import EncodedResponse, Policy
from interlace.policies.gradients import ResponseSum


def trainable(policy: Policy) -> list[Tensor]:
    return [weight for weight in policy.model.parameters() if weight.requires_grad]


def logprob(policy: Policy, item: EncodedResponse) -> Tensor:
    """log pi(response | context), token by token."""
    ids = torch.tensor([[*item.context, *item.response]])
    logits = policy.model(input_ids=ids).logits[0]
    total = torch.zeros((), dtype=logits.dtype)
    for i, token in enumerate(item.response):
        row = logits[len(item.context) + i - 1]
        total = total + row[token] - torch.logsumexp(row, 0)
    return total


def value(policy: Policy, total: ResponseSum) -> Tensor:
    terms = [logprob(policy, item) for item in total.responses]
    chosen = [term.exp() if total.of_probability else term for term in terms]
    return torch.stack([w * term for w, term in zip(total.weights, chosen, strict=True)]).sum()


def gradient(policy: Policy, total: ResponseSum) -> np.ndarray:
    """One backward a response, added up."""
    policy.model.eval()
    found: np.ndarray | float = 0.0
    for item, weight in zip(total.responses, total.weights, strict=True):
        alone = ResponseSum((item,), np.array([weight]), total.of_probability)
        grads = torch.autograd.grad(value(policy, alone), trainable(policy), materialize_grads=True)
        found = found + np.concatenate([grad.numpy().ravel() for grad in grads])
    return np.asarray(found)


def hessian(policy: Policy, total: ResponseSum) -> np.ndarray:
    """Every second derivative, one row a parameter."""
    policy.model.eval()
    weights = trainable(policy)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel has no second derivative, eager rounds to float32
        first = torch.autograd.grad(value(policy, total), weights, create_graph=True, materialize_grads=True)
    flat = torch.cat([grad.reshape(-1) for grad in first])
    rows = []
    for unit_vectors in torch.eye(len(flat), dtype=flat.dtype).split(118):
        grads = torch.autograd.grad(flat, weights, unit_vectors, retain_graph=True, is_grads_batched=True)
        rows.append(torch.cat([grad.flatten(1) for grad in grads], dim=1))
    return torch.cat(rows).numpy()


def mean_product(left: Sequence[np.ndarray], right: Sequence[np.ndarray], *, same: bool) -> float:
    """The mean inner product over pairs of parts; of different parts where both sides are the `same`."""
    pairs: Iterable[tuple[int, int]] = itertools.product(range(len(left)), range(len(right)))
    return float(np.mean([left[i] @ right[j] for i, j in pairs if not (same and i == j)]))


def relative_error(found: float | np.ndarray, truth: float | np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(found) - np.asarray(truth)) / np.linalg.norm(np.asarray(truth)))
