"""Gradients and Hessian-vector products of sums over responses, taken beside training without touching it.

The trainer's `.grad`, its random state, its modules' modes and its forward stay as they are: a look differentiates
with respect to tensors of its own that share the weights' memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from interlace.policies.padding import right_padded
from interlace.policies.parameters import ParameterSpace, widened
from interlace.policies.policy import Policy
from interlace.policies.tokenization import EncodedResponse

MAX_BATCH_TOKENS = 4_096
"""Tokens of one batch, padding included: what a backward keeps of them stays below training's own."""
MAX_BATCH_LOGITS = 2**24
"""Vocabulary entries of one batch (64 MB in float32, and as much for their gradient)."""
FINITE_STEP = 1e-3
"""Length of a finite-difference step, relative to the norm of the weights."""

HessianMethod = Literal["double_backward", "finite_difference"]


@dataclass(frozen=True)
class ResponseSum:
    """The sum over `responses` of weight x log pi(response), nats, or of weight x pi(response) (`of_probability`).

    Both are over whole responses: token log-probabilities are summed.
    """

    responses: tuple[EncodedResponse, ...]
    weights: Float[np.ndarray, "response"]
    of_probability: bool = False


@dataclass(frozen=True)
class Gradient:
    """A sum's value, and its gradient as a flat vector in float32 or wider."""

    value: float
    vector: Float[Tensor, "parameter"]


Forward = Callable[..., Float[Tensor, "row token vocabulary"]]


def gradient(
    policy: Policy, total: ResponseSum, space: ParameterSpace, weights: Mapping[str, Tensor] | None = None
) -> Gradient:
    """Value and gradient of `total` at `weights` (default: the policy's own).

    In evaluation mode, in the weights' precision, log-probabilities in float32 or wider. Cost: one forward and backward
    over the responses with their contexts; memory: one flat vector, and two while a batch is added.
    """
    vector = _zeros(policy, space)
    value = 0.0
    with differentiable(policy, space, weights) as (forward, leaves):
        for partial in _partial_sums(policy, forward, total):
            value += float(partial.detach())
            _add(vector, torch.autograd.grad(partial, leaves, materialize_grads=True))
    return Gradient(value, vector)


def hessian_product(
    policy: Policy,
    total: ResponseSum,
    space: ParameterSpace,
    direction: Float[Tensor, "parameter"],
    method: HessianMethod = "double_backward",
) -> Float[Tensor, "parameter"]:
    """The Hessian of `total` times `direction`; no Hessian is formed.

    `double_backward` is exact up to rounding; attention is computed in its plain form, which can be differentiated
    twice. `finite_difference` takes the central difference of two gradients at distance `FINITE_STEP`: where the model
    brings a kernel of its own without second derivatives, or memory is short; its weights must be float32.
    """
    if method == "finite_difference":
        return _difference_of_gradients(policy, total, space, direction)
    found = _zeros(policy, space)
    pieces = [direction[piece] for _, piece in space.pieces]
    with sdpa_kernel(SDPBackend.MATH), differentiable(policy, space) as (forward, leaves):
        for partial in _partial_sums(policy, forward, total):
            first = torch.autograd.grad(partial, leaves, create_graph=True, materialize_grads=True)
            slope = torch.stack([widened(g).reshape(-1) @ v for g, v in zip(first, pieces, strict=True)]).sum()
            _add(found, torch.autograd.grad(slope, leaves, materialize_grads=True))
    return found


@contextmanager
def differentiable(
    policy: Policy, space: ParameterSpace, weights: Mapping[str, Tensor] | None = None
) -> Iterator[tuple[Forward, tuple[Tensor, ...]]]:
    """The policy's forward (logits) as a function of leaves of our own, one a parameter of `space`.

    `Policy.observed` with gradients: `.grad` of the model is neither read nor written, and hooks that a trainer has on
    its accumulation do not fire. The random state is kept, should a module draw in evaluation mode.
    """
    devices = [policy.model.device.index] if policy.model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), policy.observed() as model, torch.enable_grad():
        own = space.weights(model) if weights is None else weights
        leaves = {name: own[name].detach().requires_grad_() for name in space.names}

        def forward(**inputs: Tensor | int | bool) -> Tensor:
            return functional_call(model, leaves, kwargs=inputs).logits

        yield forward, tuple(leaves.values())


def _difference_of_gradients(
    policy: Policy, total: ResponseSum, space: ParameterSpace, direction: Float[Tensor, "parameter"]
) -> Float[Tensor, "parameter"]:
    length = float(direction.norm())
    own = space.weights_of(policy)
    step = FINITE_STEP * float(space.flat(own).norm()) / length if length > 0.0 else 1.0
    ahead = gradient(policy, total, space, space.shifted(own, step * direction)).vector
    behind = gradient(policy, total, space, space.shifted(own, -step * direction)).vector
    return ahead.sub_(behind).div_(2.0 * step)


def _partial_sums(policy: Policy, forward: Forward, total: ResponseSum) -> Iterator[Float[Tensor, ""]]:
    """`total` batch by batch."""
    vocabulary = int(policy.model.config.get_text_config().vocab_size)
    for rows in _batches(total.responses, vocabulary):
        logprob = _logprob(forward, [total.responses[row] for row in rows], policy.pad_id, policy.model.device)
        weights = torch.from_numpy(total.weights[rows]).to(logprob)
        yield (weights * (logprob.exp() if total.of_probability else logprob)).sum()


def _logprob(
    forward: Forward, batch: Sequence[EncodedResponse], pad_id: int, device: torch.device
) -> Float[Tensor, "row"]:
    """log pi(response | context) of each row, nats. Padding stands at the end, where no real token can attend to it."""
    ids, real = right_padded([(*item.context, *item.response) for item in batch], pad_id, device)
    lengths = torch.tensor([len(item.context) for item in batch], device=device)
    first = int(lengths.min())
    logits = forward(input_ids=ids[:, :-1], logits_to_keep=ids.shape[1] - first, use_cache=False)
    return _chosen(logits, ids[:, first:], real[:, first:] & _from(lengths - first, ids.shape[1] - first))


def _chosen(
    logits: Float[Tensor, "row token vocabulary"], ids: Int[Tensor, "row token"], counted: Bool[Tensor, "row token"]
) -> Float[Tensor, "row"]:
    logprobs = widened(logits).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    return logprobs.masked_fill(~counted, 0.0).sum(-1)


def _from(starts: Int[Tensor, "row"], width: int) -> Bool[Tensor, "row token"]:
    """True from each row's start on."""
    return torch.arange(width, device=starts.device) >= starts[:, None]


def _batches(responses: Sequence[EncodedResponse], vocabulary: int) -> Iterator[list[int]]:
    """Rows of similar length together, within the limits on tokens and logits."""
    order = sorted(range(len(responses)), key=lambda row: (len(responses[row].context), len(responses[row].response)))
    batch: list[int] = []
    width = 0
    for row in order:
        grown = max(width, responses[row].num_tokens)
        first = len(responses[batch[0]].context) if batch else len(responses[row].context)
        size = len(batch) + 1
        if batch and (size * grown > MAX_BATCH_TOKENS or size * (grown - first) * vocabulary > MAX_BATCH_LOGITS):
            yield batch
            batch, grown = [], responses[row].num_tokens
        batch.append(row)
        width = grown
    if batch:
        yield batch


def _zeros(policy: Policy, space: ParameterSpace) -> Float[Tensor, "parameter"]:
    dtype = torch.promote_types(policy.model.dtype, torch.float32)
    return torch.zeros(space.dimension, dtype=dtype, device=policy.model.device)


def _add(vector: Float[Tensor, "parameter"], grads: Sequence[Tensor]) -> None:
    start = 0
    for grad in grads:
        vector[start : start + grad.numel()] += grad.reshape(-1)
        start += grad.numel()
