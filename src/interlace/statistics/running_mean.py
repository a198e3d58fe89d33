"""The mean of what comes one at a time, recent values counting more, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class RunningMean:
    """Of values of which each counts `decay` times the next. Its error takes them for independent: of products of
    successive gradients, which share one with their neighbours, it is right where there is no signal and too small by
    up to the square root of 2 where nearly all is.

    `count`: values so far; `total`: their weighted sum; `squares`, `singles`: sums of value^2 and value under the
    squared weights, of which the error is made.
    """

    decay: float
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    singles: float = 0.0

    def added(self, value: float) -> RunningMean:
        """With the next value."""
        old = self.decay**2
        return RunningMean(
            self.decay,
            self.count + 1,
            self.decay * self.total + value,
            old * self.squares + value * value,
            old * self.singles + value,
        )

    @property
    def _weight(self) -> float:
        return (1.0 - self.decay**self.count) / (1.0 - self.decay)

    @property
    def _squared_weight(self) -> float:
        return (1.0 - self.decay ** (2 * self.count)) / (1.0 - self.decay**2)

    @property
    def effective(self) -> float:
        """How many equally weighted values it is worth: (sum of weights)^2 / sum of weights^2."""
        return self._weight**2 / self._squared_weight

    @property
    def value(self) -> float:
        """The mean; of no value: 0."""
        return self.total / self._weight if self.count else 0.0

    @property
    def error(self) -> float:
        """The standard error, from the values' own scatter; of fewer than two: infinite."""
        if self.count < 2:
            return math.inf
        scatter = self.squares - 2.0 * self.value * self.singles + self.value**2 * self._squared_weight
        return math.sqrt(max(0.0, scatter) * self.effective / (self.effective - 1.0)) / self._weight

    @property
    def signal(self) -> float:
        """The share of value^2 that is not the error's, 1 - error^2/value^2, at least 0 (positive-part James-Stein).

        Times `value` it is the best guess of a mean that is drawn about 0 with a variance that is read off the value
        itself: the error's part of value^2 is what such a mean has on top by chance.
        """
        return max(0.0, 1.0 - (self.error / self.value) ** 2) if self.value else 0.0

    def figure(self, unit: str, level: float = LEVEL) -> Figure:
        """The mean, Student t with `effective` - 1 degrees of freedom.

        >>> RunningMean(0.5).added(1.0).added(1.0).figure("").value
        1.0
        """
        if self.count < 2:
            return Unresolved("two values are needed")
        half = float(special.stdtrit(self.effective - 1.0, 0.5 + level / 2)) * self.error
        if not math.isfinite(self.value + half):
            return Unresolved("values were not finite")
        return Estimate(
            self.value, self.value - half, self.value + half, level, self.count, "exponential average", unit
        )

    def to_json(self) -> list[float]:
        """All but `decay`, which is the user's."""
        return [self.count, self.total, self.squares, self.singles]

    def from_json(self, data: list[float]) -> RunningMean:
        """The one of this decay that `to_json` wrote."""
        count, *sums = data
        return RunningMean(self.decay, int(count), *map(float, sums))
