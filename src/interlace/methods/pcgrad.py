"""PCGrad: where the two gradients conflict, each loses its part along the other before they are added.

Inner products are those of the optimizer's metric unless `metric: plain` asks for the paper's (D12).
"""

from __future__ import annotations

from typing import ClassVar

from interlace.methods.combining import Combining, Gram


class PcGrad(Combining):
    """g_R - <g_R, g_S>/|g_S|^2 g_S, and the same the other way round, added."""

    name: ClassVar[str] = "pcgrad"
    sentence: ClassVar[str] = "both gradients, each projected off the other where they conflict"
    source: ClassVar[str] = "Yu et al. 2020, gradient surgery (arXiv 2001.06782); D12"

    def shares(self, gram: Gram) -> tuple[float, float]:
        """Both projections, in terms of the two gradients."""
        if not gram.conflicts:
            return 1.0, 1.0
        return 1.0 - gram.both / gram.rl, 1.0 - gram.both / gram.sft
