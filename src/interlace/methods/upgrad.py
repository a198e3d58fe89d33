"""UPGrad: the mean of both gradients' nearest points in the cone of what worsens neither.

For two objectives the nearest point to g_R is g_R itself, or its projection off g_S where they conflict: half of
PCGrad's sum. As an update it differs from PCGrad by its length alone (which a normalising optimizer forgets).
Inner products are those of the optimizer's metric unless `metric: plain` asks for the paper's (D12).
"""

from __future__ import annotations

from typing import ClassVar

from interlace.methods.combining import Gram
from interlace.methods.pcgrad import PcGrad


class UpGrad(PcGrad):
    """Half of PCGrad, for two objectives."""

    name: ClassVar[str] = "upgrad"
    sentence: ClassVar[str] = "mean of both gradients' projections onto the cone of what worsens neither"
    source: ClassVar[str] = "Quinton and Rey 2024, Jacobian descent (arXiv 2406.16232)"

    def shares(self, gram: Gram) -> tuple[float, float]:
        """The mean of the projections."""
        a, b = super().shares(gram)
        return a / 2.0, b / 2.0
