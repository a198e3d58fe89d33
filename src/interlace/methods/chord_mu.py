"""CHORD-mu: the weight of imitation warms up to a peak, falls along a cosine to a valley, and stays there.

From the authors' description and code (arXiv 2508.11408). There mu counts training steps of 32 groups; here optimizer
steps. `decay_steps` null spreads the decay over the stage, where the paper's 200 steps would outlast it.
"""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Weights


class ChordMuOptions(MethodOptions):
    """Of the method `chord_mu`."""

    peak: float = Field(default=0.9, ge=0.0, le=1.0)
    """mu after warm-up."""
    valley: float = Field(default=0.05, ge=0.0, le=1.0)
    """mu after the decay."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps from 0 to the peak, on a line."""
    decay_steps: int | None = Field(default=None, ge=1)
    """Steps from the peak to the valley, on a cosine; null: all that are left."""


class ChordMu(Method):
    """Warm-up, cosine, constant."""

    name: ClassVar[str] = "chord_mu"
    sentence: ClassVar[str] = "the weight of imitation falls from a peak to a valley along a cosine"
    source: ClassVar[str] = "Zhang et al. 2025, CHORD (arXiv 2508.11408)"
    cost: ClassVar[str] = "GRPO and an SFT step"
    takes: ClassVar[type[MethodOptions]] = ChordMuOptions

    def weights(self, step: int) -> Weights:
        """1 - mu and mu."""
        mu = self._mu(step)
        return Weights(1.0 - mu, mu)

    def _mu(self, step: int) -> float:
        peak, valley, warmup = self.options.peak, self.options.valley, self.options.warmup_steps
        if step < warmup:
            return float(peak * step / warmup)
        decay = self.options.decay_steps or max(1, self.plan.max_steps - warmup)
        share = min(1.0, (step - warmup) / decay)
        return float(valley + 0.5 * (peak - valley) * (1.0 + math.cos(math.pi * share)))
