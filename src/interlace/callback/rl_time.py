"""RlTimePath: D5 from what an RL trainer samples anyway, window by window between looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import bootstrap_interval
from interlace.theory.paths import rl_time_from_rewards
from interlace.wording import counted

RESAMPLES = 1000
"""Of the groups, for the interval of RL time: what 95 % asks for from 16 groups a look on; fewer are refused."""
BLOCK = 100
"""Resamples drawn together: 800 bytes a group."""

Resampled = Float[np.ndarray, "resample"]
"""A figure of a window as it is (first), then in each of `RESAMPLES` resamples of its groups."""


@dataclass
class RlTimePath:
    """The integral of dR/V from the first window whose rewards varied within groups to the latest (D5).

    A window where they did not, as they are or in a resample of its groups, has no V to divide by: it is left out, and
    the next step of the trapezoid reaches over it. It is signed: a reward that fell since then gives a negative time,
    which may be noise of what was sampled if its interval holds 0.

    `rewards` and `variances` are those of the last window that counts, `times` (per reward unit) the integral up to it,
    `num_groups` the fewest of a window; `rng` resamples groups.
    """

    rng: np.random.Generator
    rewards: Resampled | None = None
    variances: Resampled | None = None
    times: Resampled | None = None
    num_windows: int = 0
    num_left_out: int = 0
    num_groups: int = 0

    def add(self, means: Float[np.ndarray, "group"], variances: Float[np.ndarray, "group"]) -> Figure:
        """Take in one window, from each group's mean reward and variance: the RL time up to it."""
        rewards, spreads = self._resampled(means, variances)
        if (spreads <= 0.0).any():
            self.num_left_out += self.num_windows > 0
            return Unresolved("too few groups have rewards that differ, so there is nothing to move along (D5)")
        if self.rewards is None or self.variances is None or self.times is None:
            self.times, self.num_groups = np.zeros_like(rewards), means.size
        else:
            ends = np.stack([self.rewards, rewards], axis=1), np.stack([self.variances, spreads], axis=1)
            self.times = self.times + rl_time_from_rewards(*ends)[:, -1]
        self.rewards, self.variances, self.num_windows = rewards, spreads, self.num_windows + 1
        self.num_groups = min(self.num_groups, means.size)
        return self._figure(self.times)

    def state(self) -> tuple[dict[str, Resampled], dict[str, Any]]:
        """What `restore` takes up: arrays, and counts with the generator's state."""
        arrays = {name: getattr(self, name) for name in ("rewards", "variances", "times")}
        counts = {name: getattr(self, name) for name in ("num_windows", "num_left_out", "num_groups")}
        known = {name: array for name, array in arrays.items() if array is not None}
        return known, {**counts, "rng": self.rng.bit_generator.state}

    def restore(self, arrays: dict[str, Resampled], counts: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.rng.bit_generator.state = counts.pop("rng")
        for name, value in {**arrays, **counts}.items():
            setattr(self, name, value)

    def _figure(self, times: Resampled) -> Figure:
        if self.num_windows < 2:
            return Unresolved("RL time needs rewards at two looks")
        unit = "per reward unit"
        found = bootstrap_interval(times[1:], float(times[0]), num_prompts=self.num_groups, unit=unit)
        if isinstance(found, Estimate) and self.num_left_out:
            left_out = counted(self.num_left_out, "window without variance", "windows without variance")
            return replace(found, method=f"{found.method}; {left_out} left out")
        return found

    def _resampled(
        self, means: Float[np.ndarray, "group"], variances: Float[np.ndarray, "group"]
    ) -> tuple[Resampled, Resampled]:
        found = [(means.mean(keepdims=True), variances.mean(keepdims=True))]
        for _ in range(RESAMPLES // BLOCK):
            drawn = self.rng.integers(means.size, size=(BLOCK, means.size))
            found.append((means[drawn].mean(axis=1), variances[drawn].mean(axis=1)))
        rewards, spreads = zip(*found, strict=True)
        return np.concatenate(rewards), np.concatenate(spreads)
