"""CAGrad: near the mean gradient, the direction whose worse-served loss is served best.

max over |d - g_0| <= c |g_0| of min_i <g_i, d>, g_0 the mean: d = g_0 + c |g_0| g_w/|g_w|, where g_w, on the segment
between both gradients, minimises <g_w, g_0> + c |g_0| |g_w|, a convex function of one number.
Lengths are those of the optimizer's metric unless `metric: plain` asks for the paper's (D12).
"""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field
from scipy.optimize import minimize_scalar

from interlace.methods.base import MethodOptions
from interlace.methods.combining import Combining, CombiningOptions, Gram


class CaGradOptions(CombiningOptions):
    """Of the method `cagrad`."""

    c: float = Field(default=0.5, ge=0.0, lt=1.0)
    """How far from the mean gradient, as a share of its length; 0: the mean itself."""


class CaGrad(Combining):
    """The mean gradient, moved towards whoever is served worst."""

    name: ClassVar[str] = "cagrad"
    sentence: ClassVar[str] = "near the mean gradient, the direction that serves the worse-served loss best"
    source: ClassVar[str] = "Liu et al. 2021, CAGrad (arXiv 2110.14048)"
    takes: ClassVar[type[MethodOptions]] = CaGradOptions

    def shares(self, gram: Gram) -> tuple[float, float]:
        """Of g_0 and of g_w, in terms of the two gradients."""
        reach = self.options.c * math.sqrt(max(0.0, gram.rl + gram.sft + 2.0 * gram.both)) / 2.0

        def length(w: float) -> float:
            return math.sqrt(max(0.0, w * w * gram.rl + (1 - w) ** 2 * gram.sft + 2 * w * (1 - w) * gram.both))

        def served(w: float) -> float:
            mean = (w * gram.rl + (1 - w) * gram.sft + gram.both) / 2.0
            return mean + reach * length(w)

        found = minimize_scalar(served, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10})
        w = min((0.0, float(found.x), 1.0), key=served)
        pull = reach / length(w) if length(w) > 0.0 else 0.0
        return 0.5 + pull * w, 0.5 + pull * (1.0 - w)
