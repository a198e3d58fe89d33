"""How far the policy has gone from the stage's start: KL, exact over the vocabulary at each visited prefix."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.policies import EncodedResponse, Policy, token_distributions
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics.divergence import response_kl
from interlace.statistics.intervals import mean_interval


class Divergence:
    """KL(pi to the stage's start), nats a response, Rao-Blackwellised (C5): prefixes are sampled from the policy, the
    next token is summed over the vocabulary, so the estimate is never negative.

    Cost: a group of completions a prompt and one forward of each policy over them.
    """

    name = "divergence"
    sentence = "KL from the stage's start on sampled prefixes, exact over the vocabulary at each"
    source = "C5"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("completions",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the policy is another than the start."""
        return context.policy is not context.start

    def measure(self, context: ProbeContext) -> Reading:
        """Walk both policies over the policy's own completions."""
        completions = [item for group in context.completions for item in group]
        kl = visited_kl(context.policy, context.start, completions)
        per_prompt = kl.reshape(len(context.completions), -1).mean(axis=1)
        figure = mean_interval(per_prompt, level=context.level, unit="nats/response", least=0.0)
        return Reading({"kl_policy_start_nats_per_response": figure}, {"kl": per_prompt})


def visited_kl(
    policy: Policy, reference: Policy, completions: list[EncodedResponse]
) -> Float[np.ndarray, "completion"]:
    """Sum over a completion's prefixes of KL(policy(. | prefix) to reference(. | prefix)), nats."""
    found = np.zeros(len(completions))
    walks = zip(token_distributions(policy, completions), token_distributions(reference, completions), strict=True)
    for ours, theirs in walks:
        found[ours.rows] = response_kl(ours.logprobs, theirs.logprobs, ours.mask).double().cpu().numpy()
    return found
