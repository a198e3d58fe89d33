"""How much of a gradient is signal: the share of its squared norm, and the batch at which signal and noise are even."""

from __future__ import annotations

from interlace.estimate import Figure
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics import noise_scale, signal_share


class GradientNoise:
    """Signal share norm(E g)^2 / E norm(g)^2 of a part's gradient, and the noise scale in prompts, of each objective.

    The share belongs to the parts' size; the noise scale does not (McCandlish et al. 2018). A sampled reward's noise
    counts the sampling of its groups too.
    """

    name = "gradient_noise"
    sentence = "signal share and noise scale of the SFT loss's and the reward's gradients"
    source = "C2"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the policy is one that is trained."""
        return context.has_gradient() and bool(context.objectives)

    def measure(self, context: ProbeContext) -> Reading:
        """Compare each objective's parts with each other."""
        figures: dict[str, Figure] = {}
        for objective in context.objectives:
            gram, prompts = context.gradients.products(objective, objective), context.gradients.prompts[objective]
            name = objective[1]
            figures[f"{name}_gradient_signal_share"] = signal_share(gram, level=context.level)
            scale = noise_scale(gram, prompts_per_part=prompts, level=context.level)
            figures[f"{name}_gradient_noise_scale"] = scale
        return Reading(figures)
