"""Drift and diffusion of an objective from independent forks and the averages of their weights (B8), and C10's parts.

Arrays are one value a prompt, nats or reward units; every figure is a mean over prompts. Forks are the outer units:
each figure's interval is a jackknife over forks and over prompts, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from interlace.estimate import OTHER_SEEDS, Figure, Unresolved
from interlace.statistics.intervals import LEVEL
from interlace.statistics.jackknife import jackknife_interval, left_out_weights
from interlace.theory.landscape import drift_loss

PerPrompt = Float[np.ndarray, "prompt"]
Parts = Mapping[str, PerPrompt]

DriftPath = tuple[PerPrompt, PerPrompt]

METHOD, UNITS = "independent forks and their mean weights (B8), jackknife", "forks and prompts"

LARGEST_FACTOR = 30
"""How far above its value the upper end of a diffusion may lie before forks are called too few."""


@dataclass(frozen=True, eq=False)
class ArmValues:
    """An objective of one arm's forks at one length: of each fork, of their mean weights, and of the mean without each.

    Needs at least 3 forks, so that two are left when one is left out.
    """

    forks: Float[np.ndarray, "fork prompt"]
    mean: Float[np.ndarray, "prompt"]
    mean_without: Float[np.ndarray, "fork prompt"]

    @property
    def count(self) -> int:
        """How many forks."""
        return len(self.forks)

    def drift_path(self, without: int | None = None) -> DriftPath:
        """The objective on the drift path, and what one fork's diffusion adds to it (B8's referee).

        From all forks, or from all but one.
        """
        if without is None:
            return drift_loss(self.forks.mean(axis=0), self.mean, self.count)
        rest = np.delete(self.forks, without, axis=0)
        return drift_loss(rest.mean(axis=0), self.mean_without[without], self.count - 1)


@dataclass(frozen=True, eq=False)
class ForkValues:
    """An objective at the forks' start and on every arm. `own` are the forks of the stage as it is; `placebo` those
    whose rewards carry no information (C9), None where there are none; `change` is what the run itself did over the
    same steps, None where it was not measured there."""

    start: PerPrompt
    own: ArmValues
    placebo: ArmValues | None = None
    change: PerPrompt | None = None

    def parts(self, *, is_placebo: bool = False) -> tuple[Parts, tuple[Parts, ...]]:
        """C10's parts of each prompt, from all forks and without each.

        `drift` + `diffusion` is what the stage does on average; `unresolved` is the rest of the run's own change: its
        own draw of the noise, and the error of the other parts. With a placebo drift is `drift_by_reward` +
        `reward_free_drift`. `is_placebo`: the stage's own rewards carry no information, so all of its drift is free.
        """
        without = tuple(self._parts(is_placebo, fork) for fork in range(self.own.count))
        return self._parts(is_placebo, None), without

    def _parts(self, is_placebo: bool, without: int | None) -> Parts:
        on_path, diffusion = self.own.drift_path(without)
        found: dict[str, PerPrompt] = {"drift": on_path - self.start, "diffusion": diffusion}
        if is_placebo:
            found |= {"drift_by_reward": np.zeros_like(self.start), "reward_free_drift": found["drift"]}
        elif self.placebo is not None:
            free = self.placebo.drift_path(without)[0] - self.start
            found |= {"drift_by_reward": found["drift"] - free, "reward_free_drift": free}
        if self.change is not None:
            found |= {"change": self.change, "unresolved": self.change - found["drift"] - diffusion}
        return found


def part_figures(values: ForkValues, *, unit: str, is_placebo: bool = False, level: float = LEVEL) -> dict[str, Figure]:
    """C10: every part as a figure, by name (see `ForkValues.parts`). The values add up exactly.

    Forks of one number share their prompts and seed in all arms, so they are left out together.
    """
    whole, without = values.parts(is_placebo=is_placebo)
    return {
        name: _figure(part, [left[name] for left in without], unit=unit, level=level, is_spread=name == "diffusion")
        for name, part in whole.items()
    }


def _figure(
    part: PerPrompt, without: Sequence[PerPrompt], *, unit: str, level: float, is_spread: bool = False
) -> Figure:
    """The mean of `part`. A spread (diffusion) is skewed as a variance is, so that the plain interval of few forks
    falls short above: where every left-out value is positive its upper end is at least that of the logarithm's. The
    lower end stays the plain one, since tr(H Cov) may have either sign and a logarithm's interval never holds 0."""
    point = float(part.mean())
    groups = [np.array([left.mean() for left in without]), left_out_weights(part.size) @ part]

    def interval(value: float, left_out: Sequence[Float[np.ndarray, "_"]]) -> Figure:
        return jackknife_interval(
            value, left_out, unit=unit, units=UNITS, method=METHOD, level=level, scope=OTHER_SEEDS
        )

    plain = interval(point, groups)
    if not is_spread or isinstance(plain, Unresolved) or min(point, *map(np.min, groups)) <= 0.0:
        return plain
    logarithm = interval(math.log(point), [np.log(group) for group in groups])
    if isinstance(logarithm, Unresolved):
        return logarithm
    if logarithm.upper - logarithm.value > math.log(LARGEST_FACTOR):
        return Unresolved(f"{len(without)} forks do not bound it within a factor of {LARGEST_FACTOR}: ask for more")
    return replace(plain, upper=max(plain.upper, math.exp(logarithm.upper)), method=f"{METHOD}, upper end in logs")


def rate_figures(
    shorter: ArmValues, longer: ArmValues, steps: tuple[int, int], *, unit: str, level: float = LEVEL
) -> tuple[Figure, Figure]:
    """Diffusion per step of forks of the longer length, and by how much that exceeds the shorter ones'.

    While the second is above 0 the noise of the last steps has not yet shown (momentum) or the curvature that it meets
    grows, and the first must not be extrapolated.
    """

    def rates(without: int | None) -> tuple[PerPrompt, PerPrompt]:
        first, last = (arm.drift_path(without)[1] for arm in (shorter, longer))
        return last / steps[1], last / steps[1] - first / steps[0]

    whole, without = rates(None), [rates(fork) for fork in range(longer.count)]
    rate, growth = (
        _figure(whole[i], [left[i] for left in without], unit=unit, level=level, is_spread=i == 0) for i in range(2)
    )
    return rate, growth
