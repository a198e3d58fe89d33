"""The slow obvious twins: one response at a time without padding or cache, the Hessian as a whole matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from interlace.policies import EncodedResponse, Policy
from interlace.policies.gradients import ResponseSum
from interlace.probes import MeasuredTask


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


def next_logprobs(policy: Policy, item: EncodedResponse) -> Tensor:
    """log pi(. | prefix) before each token of the response, one row a token."""
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([[*item.context, *item.response]])).logits[0]
    return logits[len(item.context) - 1 : -1].log_softmax(-1)


def entropy(policy: Policy, item: EncodedResponse) -> float:
    """Entropy of the next token, added up over the response's prefixes, nats."""
    rows = next_logprobs(policy, item)
    return sum(-float(p.exp() * p) for row in rows for p in row)


def kl(policy: Policy, other: Policy, item: EncodedResponse) -> float:
    """KL of the next token, added up over the response's prefixes, nats."""
    pairs = zip(next_logprobs(policy, item), next_logprobs(other, item), strict=True)
    return sum(float(p.exp() * (p - q)) for ours, theirs in pairs for p, q in zip(ours, theirs, strict=True))


def pass_rates(policy: Policy, target: MeasuredTask) -> list[float]:
    """The chance of a rewarded response to each prompt."""
    assert target.rewarded is not None
    return [
        sum(float(logprob(policy, target.responses[row]).detach().exp()) for row, _ in listed)
        for listed in target.rewarded
    ]


def tilted(rates: Sequence[float], rl_time: float) -> tuple[float, float]:
    """E_x log Z and the reward of the tilt, of rewards 1 with the given chances."""
    partition = [p * math.exp(rl_time) + 1.0 - p for p in rates]
    reward = [p * math.exp(rl_time) / z for p, z in zip(rates, partition, strict=True)]
    return float(np.mean([math.log(z) for z in partition])), float(np.mean(reward))


def matched_time(rates: Sequence[float], reward: float) -> float:
    """The RL time whose tilt earns `reward`, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2.0
        low, high = (middle, high) if tilted(rates, middle)[1] < reward else (low, middle)
    return middle


def chi_square(policy: Policy, target: MeasuredTask) -> float:
    """E_x[sum_y p_D^2 / pi] - 1 of a known expert."""
    totals = [0.0] * len(target.examples)
    for row, prompt, p in zip(target.expert, target.heldout.prompt, target.heldout.probability, strict=True):
        totals[prompt] += p**2 / float(logprob(policy, target.responses[row]).detach().exp())
    return sum(totals) / len(totals) - 1.0
