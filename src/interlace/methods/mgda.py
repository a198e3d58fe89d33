"""MGDA: the shortest convex combination of the two gradients; each loss falls by its squared length, to first order.

Lengths are those of the optimizer's metric unless `metric: plain` asks for the paper's (D12).
"""

from __future__ import annotations

from typing import ClassVar

from interlace.methods.combining import Combining, Gram


class Mgda(Combining):
    """The point of the segment between the gradients that is nearest to 0."""

    name: ClassVar[str] = "mgda"
    sentence: ClassVar[str] = "the shortest convex combination of both gradients"
    source: ClassVar[str] = "Sener and Koltun 2018 (arXiv 1810.04650), after Desideri; D12"

    def shares(self, gram: Gram) -> tuple[float, float]:
        """a = <g_S - g_R, g_S>/|g_R - g_S|^2 within [0, 1], and 1 - a."""
        apart = gram.rl + gram.sft - 2.0 * gram.both
        a = 0.5 if apart <= 0.0 else min(1.0, max(0.0, (gram.sft - gram.both) / apart))
        return a, 1.0 - a
