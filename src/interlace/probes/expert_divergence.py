"""How far the policy is from an expert-SFT policy: another checkpoint, trained on the expert's data."""

from __future__ import annotations

from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.divergence import visited_kl
from interlace.statistics import mean_interval


class ExpertDivergence:
    """KL(pi to the expert-SFT policy), nats a response, Rao-Blackwellised (C5) on prefixes sampled from the policy.

    The expert-SFT policy is a model of p_D that has probabilities everywhere: `measure.expert_policy` of a recipe, or
    `expert_policy` of `interlace.attach`. In `interlace measure` it is the first checkpoint, which KL is taken to.

    Cost: the completions, shared with `divergence`, and one forward of each policy over them.
    """

    name = "expert_divergence"
    sentence = "KL to an expert-SFT policy on sampled prefixes, exact over the vocabulary at each"
    source = "C5"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("completions", "expert")

    def applies(self, context: ProbeContext) -> bool:
        """Where an expert-SFT policy was named."""
        return context.expert is not None

    def measure(self, context: ProbeContext) -> Reading:
        """Walk both policies over the policy's own completions."""
        assert context.expert is not None
        groups = context.completions
        kl = visited_kl(context.policy, context.expert, [item for group in groups for item in group])
        per_prompt = kl.reshape(len(groups), -1).mean(axis=1)
        figure = mean_interval(per_prompt, level=context.level, unit="nats/response", least=0.0)
        return Reading({"kl_policy_expert_nats_per_response": figure})
