"""How spread out and how long what the policy says is: entropy and length of completions on held-out prompts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.policies import EncodedResponse, Policy, token_distributions
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics import bounded_mean_interval, mean_interval, ratio_interval
from interlace.statistics.divergence import response_entropy


class Entropy:
    """H(pi) = E_x E_{y ~ pi}[-log pi(y | x)], nats a response and a token, Rao-Blackwellised: prefixes are sampled, the
    next token's entropy is exact over the vocabulary, with the mean of the plain estimate and never a larger variance.

    `completion_tokens`: mean length, end-of-sequence included; completions are cut at the measurement's longest, and
    `completion_truncated_fraction` of them were: the entropy is then of the process that stops there.

    Cost: the completions, shared with `divergence`, and one forward of the policy over them.
    """

    name = "entropy"
    sentence = "the policy's entropy on sampled prefixes, exact over the vocabulary at each, and completion length"
    source = "C5"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("completions",)

    def applies(self, context: ProbeContext) -> bool:
        """Everywhere."""
        return True

    def measure(self, context: ProbeContext) -> Reading:
        """Walk the policy over its own completions."""
        groups, level = context.completions, context.level
        items = [item for group in groups for item in group]
        entropy = _by_prompt(visited_entropy(context.policy, items), len(groups))
        tokens = _by_prompt(np.array([len(item.response) for item in items], dtype=np.float64), len(groups))
        cut = np.array([item.response[-1] != context.policy.eos_id for item in items], dtype=np.float64)
        return Reading(
            {
                "entropy": mean_interval(entropy, unit="nats/response", level=level, least=0.0),
                "entropy_per_token": ratio_interval(entropy, tokens, unit="nats/token", level=level, least=0.0),
                "completion_tokens": mean_interval(tokens, unit="tokens", level=level, least=0.0),
                "completion_truncated_fraction": bounded_mean_interval(
                    _by_prompt(cut, len(groups)), 0.0, 1.0, unit="fraction", is_exact=False, level=level
                ),
            }
        )


def visited_entropy(policy: Policy, completions: list[EncodedResponse]) -> Float[np.ndarray, "completion"]:
    """Sum over a completion's prefixes of the next token's entropy, nats."""
    found = np.zeros(len(completions))
    for batch in token_distributions(policy, completions):
        found[batch.rows] = response_entropy(batch.logprobs, batch.mask).double().cpu().numpy()
    return found


def _by_prompt(values: Float[np.ndarray, "completion"], num_prompts: int) -> Float[np.ndarray, "prompt"]:
    return values.reshape(num_prompts, -1).mean(axis=1)
