"""A10 along a run: which tilt of the first policy earns the reward, and what of SFT loss's change comes with it.

The groups of the first point are samples of that policy: they say what its tilts earn, and their log Z (C4). Whatever
a change of SFT loss has beside the tilt part lies off the RL path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interlace.dumps.groups import Groups
from interlace.dumps.path import NATS_RESPONSE, Drawn, Points, RewardPath, finite_interval, no_expert
from interlace.estimate import Figure, Unresolved
from interlace.statistics import Segments
from interlace.statistics.partition import mean_log_partition
from interlace.statistics.tilted_start import SampledStart

SPACING, FARTHEST = 0.125, 6.0
"""RL time from tilt to tilt, and of the farthest one, times the range of the rewards."""
SPARE = 1.5
"""Tilts reach so many times as far as samples carry them: resamples may lie beyond the estimate."""
ALIKE = 0.9
"""The share of the first point's prompts that must have groups of one size."""


@dataclass(frozen=True)
class Tilts:
    """Tilts of the first policy at RL `times`, 0 among them, of which `carried` (lowest, highest) are said to be known,
    and those beyond are not, for the reasons `below` and `above`. By prompt: `rises`, the reward of each tilt less that
    at 0; `bends`, its log Z less RL time times the reward at 0, nats."""

    times: Float[np.ndarray, "tilt"]
    prompts: Int[np.ndarray, "prompt"]
    rises: Float[np.ndarray, "prompt tilt"]
    bends: Float[np.ndarray, "prompt tilt"]
    carried: tuple[float, float]
    below: str
    above: str

    @property
    def segment(self) -> Segments:
        """Rises, then bends, one segment of prompts: to be resampled with the rollouts."""
        return Segments(self.prompts, np.array([0]), np.hstack([self.rises, self.bends]))


@dataclass(frozen=True)
class TiltPath:
    """The tilt that earns the reward of each point: its RL `time`, and the `part` of the change of SFT loss since the
    first point that comes with it, nats/response (NaN without R_D); as estimated (NaN where it is not known) and in
    each resample (infinite where it lies farther than tilts reach). `reasons`: why a point has none, where it has
    none."""

    time: Points
    times: Drawn
    part: Points
    parts: Drawn
    reasons: tuple[Unresolved, ...]

    def figures(self, path: RewardPath) -> tuple[Figure, ...]:
        """A10's tilt part at every point, nats/response since the first."""
        if path.expert is None:
            return (no_expert(),) * len(path.places)
        return tuple(
            finite_interval(float(self.part[i]), self.parts[:, i], path.num_prompts, NATS_RESPONSE, self.reasons[i])
            for i in range(len(path.places))
        )


def tilts_of(groups: Groups) -> Tilts | Unresolved:
    """The tilts of the policy that sampled the first point's groups."""
    found = _first_rewards(groups)
    if isinstance(found, Unresolved):
        return found
    prompts, rewards = found
    width = float(np.ptp(rewards))
    if width == 0.0:
        return Unresolved("all rewards of the first step are equal, so no tilt of that policy earns another")
    spacing = SPACING / width
    (down, below), (up, above) = _carried(rewards, -spacing), _carried(rewards, spacing)
    times = spacing * np.arange(-int(SPARE * down) - 1, int(SPARE * up) + 2)
    start = SampledStart(rewards)
    level = start.tilted_reward(0.0)
    rises = np.stack([start.tilted_reward(time) - level for time in times], axis=1)
    bends = np.stack([start.log_partition(time) - time * level for time in times], axis=1)
    return Tilts(times, prompts, rises, bends, (-spacing * down, spacing * up), below, above)


def _first_rewards(groups: Groups) -> tuple[np.ndarray, Float[np.ndarray, "prompt sample"]] | Unresolved:
    """The first point's prompts with their rewards, of those whose groups have the commonest size."""
    first = groups.of(0)
    sizes = groups.sizes[first]
    size = int(np.bincount(sizes).argmax())
    alike = sizes == size
    if size < 2 or alike.mean() < ALIKE:
        return Unresolved(f"the first step's groups hold {sizes.min()} to {sizes.max()} samples: a tilt (A10) needs "
                          "groups of one size, of two or more")  # fmt: skip
    rewards = groups.values_of(0)[np.repeat(alike, sizes)].reshape(-1, size)
    return groups.prompts[first][alike], rewards


def _carried(rewards: Float[np.ndarray, "prompt sample"], spacing: float) -> tuple[int, str]:
    """How many steps of `spacing` from 0 the samples carry, and why not one more (C4)."""
    count = int(FARTHEST / SPACING)
    for steps in range(1, count + 1):
        found = mean_log_partition(rewards, spacing * steps)
        if isinstance(found, Unresolved):
            return steps - 1, found.reason
    return count, "no tilt of what the first step sampled earns this reward"


def follow_tilts(path: RewardPath, tilts: Tilts, drawn: Float[np.ndarray, "resample quantity"]) -> TiltPath:
    """The tilts that earn what reward rises by along `path`; `drawn`: the means of `tilts.segment` in its resamples."""
    rise, rises = path.reward - path.reward[0], path.rewards - path.rewards[:, :1]
    gaps = path.gaps
    gap, gap_drawn = (np.nan, np.full(len(rises), np.nan)) if gaps is None else (gaps[0][0], gaps[1][:, 0])
    time, part = _matched(tilts.times, tilts.segment.means[0], rise, gap)
    each = [_matched(tilts.times, drawn[i], rises[i], gap_drawn[i]) for i in range(len(drawn))]
    low, high = tilts.carried
    unknown = ~((time >= low) & (time <= high))
    reasons = tuple(
        Unresolved(f"the tilt that earns this reward (A10): {tilts.above if is_up else tilts.below}")
        for is_up in rise > 0.0
    )
    time, part = np.where(unknown, np.nan, time), np.where(unknown, np.nan, part)
    return TiltPath(time, np.stack([found for found, _ in each]), part, np.stack([found for _, found in each]), reasons)


def _matched(
    times: Float[np.ndarray, "tilt"], means: Float[np.ndarray, "quantity"], rise: Points, gap: float
) -> tuple[Points, Points]:
    """RL time and tilt part E log Z - tau R_D of the tilts that earn `rise` more; `gap`: R - R_D at RL time 0."""
    earned, bend = np.maximum.accumulate(means[: len(times)]), means[len(times) :]
    time = np.interp(rise, earned, times, left=-np.inf, right=np.inf)
    near = np.clip(time, times[0], times[-1])
    part = np.interp(near, times, bend) + near * gap
    slope = np.interp(near, times, earned) + gap
    beyond = np.where(np.sign(time) * slope > 0.0, np.inf, -np.inf)
    return time, np.where(time == near, part, beyond)
