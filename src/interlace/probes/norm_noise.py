"""The gradient noise scale for nothing: from the normalisation layers' gradients of the trainer's own micro-batches."""

from __future__ import annotations

import torch

from interlace.estimate import Estimate, Figure
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics import noise_scale, signal_share
from interlace.statistics.unbiased import MINIMUM_PARTS


class NormLayerNoise:
    """Signal share and noise scale (sequences) of the gradient of what is trained, as the normalisation layers see it.

    Under gradient accumulation a trainer computes the gradient of each micro-batch anyway; what it adds to these few
    weights is read off between micro-batches. Normalisation layers predict the noise scale of the whole gradient up to
    a factor near 1 (Gray et al. 2024), so this follows its course; `gradient_noise` measures the scale itself.
    The last micro-batch of a step is not seen: by the time a callback hears of it, gradients are clipped.

    Micro-batches weigh as the trainer weighs them. In GRPO members of a group fall into several, so their noise is not
    quite independent. Cost: one copy of the normalisation layers' gradients a micro-batch, before steps that are looked
    at alone.
    """

    name = "norm_layer_noise"
    sentence = "noise scale and signal share of the training gradient, from the normalisation layers' micro-batches"
    source = "C2, Gray et al. 2024"
    cost: Price = "byproduct"
    needs: tuple[str, ...] = ("micro_gradients",)

    def applies(self, context: ProbeContext) -> bool:
        """Where at least three micro-batches of a step were seen: `gradient_accumulation_steps` of 4 and more."""
        return len(context.micro_gradients) >= MINIMUM_PARTS

    def measure(self, context: ProbeContext) -> Reading:
        """Compare the micro-batches with each other."""
        assert context.moment is not None
        vectors = torch.stack([vector.double() for vector in context.micro_gradients])
        gram = (vectors @ vectors.T).cpu().numpy()
        scale = noise_scale(gram, prompts_per_part=context.moment.micro_batch_size, level=context.level)
        figures: dict[str, Figure] = {
            "norm_layer_gradient_signal_share": signal_share(gram, level=context.level),
            "norm_layer_gradient_noise_scale": _in_sequences(scale),
        }
        return Reading(figures)


def _in_sequences(figure: Figure) -> Figure:
    if not isinstance(figure, Estimate):
        return figure
    return Estimate(
        figure.value, figure.lower, figure.upper, figure.level, figure.n, figure.method, "sequences", figure.scope
    )
