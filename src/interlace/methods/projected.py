"""Projected: one gradient loses what would raise the other's loss; the other is only listened to (D12).

With the SFT loss kept the update is g_R - <g_R, g_S>/|g_S|^2 g_S where the two conflict: to first order the SFT loss
stays and the reward rises at |g_R|^2 (1 - c^2). Where they agree it is g_R itself, by which both losses fall.

The loss that stays is that of the update's own batch. Noise is in |g_S|^2 and, on average, not in <g_R, g_S> (C2), so
that of a true conflict too little is taken off: the SFT loss of other prompts rises by the share of |g_S|^2 that is
noise, times what it would have risen by. `soft_projected` is about that.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from interlace.methods.base import MethodOptions
from interlace.methods.combining import Combining, CombiningOptions, Gram


class ProjectedOptions(CombiningOptions):
    """Of the methods that project one gradient."""

    kept: Literal["sft", "rl"] = "sft"
    """The loss that is to stay where it is. The other one's gradient is projected."""


class Projected(Combining):
    """g_R - <g_R, g_S>/|g_S|^2 g_S, or the same with the sides changed."""

    name: ClassVar[str] = "projected"
    sentence: ClassVar[str] = "the RL gradient, projected off that of the SFT loss where they conflict"
    source: ClassVar[str] = "interlace: D12; one side of gradient surgery (arXiv 2001.06782)"
    published: ClassVar[bool] = False
    takes: ClassVar[type[MethodOptions]] = ProjectedOptions

    def shares(self, gram: Gram) -> tuple[float, float]:
        """All of the gradient that is projected; of the other one as much as the projection takes."""
        if not gram.conflicts:
            return self._shares(0.0)
        return self._shares(-gram.both / (gram.sft if self.keeps_sft else gram.rl))

    @property
    def keeps_sft(self) -> bool:
        """Whether it is the SFT loss that stays."""
        return bool(self.options.kept == "sft")

    def _shares(self, of_kept: float) -> tuple[float, float]:
        return (1.0, of_kept) if self.keeps_sft else (of_kept, 1.0)
