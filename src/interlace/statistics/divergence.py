"""C5: KL between policies, and entropy, exact over the vocabulary at each visited prefix (Rao-Blackwellised).

Never the bare log-ratio of the sampled tokens: the sum of exact prefix divergences has the same mean and never a larger
variance. Written with operators that NumPy arrays and torch tensors share: either goes in and the same comes out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float


def prefix_kl(
    policy_logprobs: Float[Any, "*batch vocabulary"], reference_logprobs: Float[Any, "*batch vocabulary"]
) -> Float[Any, "*batch"]:
    """KL(policy to reference) of the next token, nats, at each prefix; 0 log 0 = 0; inf where the reference gives 0.

    Args: log-probabilities over the whole vocabulary (last axis), normalised. Cost: three temporaries of their size.
    """
    probability = math.e**policy_logprobs
    with np.errstate(invalid="ignore"):  # 0 x inf, mended next
        terms = probability * (policy_logprobs - reference_logprobs)
    terms[probability == 0.0] = 0.0
    return terms.sum(-1)


def response_kl(
    policy_logprobs: Float[Any, "*batch position vocabulary"],
    reference_logprobs: Float[Any, "*batch position vocabulary"],
    is_visited: Bool[Any, "*batch position"],
) -> Float[Any, "*batch"]:
    """KL(policy to reference), nats per response: `prefix_kl` summed over the positions that the response visited.

    The responses must have been sampled from the policy, at temperature 1; position t is conditioned on the tokens
    before t, end-of-sequence included. The mean over a prompt's responses is an unbiased estimate of its KL.
    """
    divergence = prefix_kl(policy_logprobs, reference_logprobs)
    divergence[~is_visited] = 0.0
    return divergence.sum(-1)


def response_entropy(
    policy_logprobs: Float[Any, "*batch position vocabulary"], is_visited: Bool[Any, "*batch position"]
) -> Float[Any, "*batch"]:
    """Entropy of the next token, nats, summed over the positions that the response visited; 0 log 0 = 0.

    The mean over responses sampled from the policy is an unbiased estimate of its entropy a response.
    """
    probability = math.e**policy_logprobs
    with np.errstate(invalid="ignore"):  # 0 x inf, mended next
        terms = -probability * policy_logprobs
    terms[probability == 0.0] = 0.0
    entropy = terms.sum(-1)
    entropy[~is_visited] = 0.0
    return entropy.sum(-1)
