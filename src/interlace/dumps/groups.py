"""Groups: what was sampled of one prompt at one point of training, a point being a step, or some in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from interlace.dumps.rows import Samples
from interlace.statistics.bootstrap import MINIMUM_PROMPTS

MOST_POINTS = 200
"""Points that a run is cut into at most: steps in a row are then one point."""


@dataclass(frozen=True)
class Groups:
    """One entry a point and prompt, in order of the points.

    `means` and `variances` (ddof 1; NaN with one sample) are within the group, `dead`: all of its rewards are equal,
    `sizes`: its samples. Of each point: `starts`, where its groups begin, `first` and `last` step, `places`, the mean
    step of its samples. `values`: every reward, in order of the points, from `value_starts` on.
    """

    prompts: Int[np.ndarray, "group"]
    means: Float[np.ndarray, "group"]
    variances: Float[np.ndarray, "group"]
    dead: Bool[np.ndarray, "group"]
    sizes: Int[np.ndarray, "group"]
    starts: Int[np.ndarray, "point"]
    first: Int[np.ndarray, "point"]
    last: Int[np.ndarray, "point"]
    places: Float[np.ndarray, "point"]
    values: Float[np.ndarray, "sample"]
    value_starts: Int[np.ndarray, "point"]

    def of(self, point: int) -> slice:
        """The groups of a point."""
        return slice(self.starts[point], self.starts[point + 1] if point + 1 < len(self.starts) else None)

    def values_of(self, point: int) -> Float[np.ndarray, "sample"]:
        """Every reward of a point."""
        after = self.value_starts[point + 1] if point + 1 < len(self.value_starts) else None
        return self.values[self.value_starts[point] : after]


def group(samples: Samples, fewest: int = MINIMUM_PROMPTS) -> Groups:
    """Groups of `samples`. Steps with fewer than `fewest` prompts are one point with their neighbours."""
    points = _points(samples, fewest)
    num_prompts = len(samples.keys)
    key = points * num_prompts + samples.prompts
    order = np.argsort(key, kind="stable")
    rewards, steps = samples.rewards[order], samples.steps[order]
    groups, starts, sizes = np.unique(key[order], return_index=True, return_counts=True)
    low, high = (ends.reduceat(rewards, starts) for ends in (np.minimum, np.maximum))
    means = np.clip(np.add.reduceat(rewards, starts) / sizes, low, high)
    squares = np.add.reduceat((rewards - np.repeat(means, sizes)) ** 2, starts)
    variances = np.where(low == high, 0.0, squares) / np.where(sizes > 1, sizes - 1.0, np.nan)
    of_point = groups // num_prompts
    _, point_starts = np.unique(of_point, return_index=True)
    value_starts = starts[point_starts]
    counts = np.diff(np.append(value_starts, len(rewards)))
    return Groups(
        prompts=groups % num_prompts,
        means=means,
        variances=variances,
        dead=low == high,
        sizes=sizes,
        starts=point_starts,
        first=np.minimum.reduceat(steps, value_starts),
        last=np.maximum.reduceat(steps, value_starts),
        places=np.add.reduceat(steps.astype(np.float64), value_starts) / counts,
        values=rewards,
        value_starts=value_starts,
    )


def _points(samples: Samples, fewest: int) -> Int[np.ndarray, "sample"]:
    """The point of every sample."""
    steps, at = np.unique(samples.steps, return_inverse=True)
    pairs = np.unique(at * len(samples.keys) + samples.prompts)
    prompts = np.bincount(pairs // len(samples.keys), minlength=len(steps))
    together = -(-len(steps) // MOST_POINTS)
    point, point_of, held, taken = 0, np.zeros(len(steps), dtype=np.int64), 0, 0
    for index, count in enumerate(prompts):
        if held >= fewest and taken >= together:
            point, held, taken = point + 1, 0, 0
        point_of[index], held, taken = point, held + int(count), taken + 1
    if held < fewest and point > 0:
        point_of[point_of == point] = point - 1
    return point_of[at]


def advantage_agreement(samples: Samples) -> float | None:
    """How the written advantages go with the reward within groups: 1 where they are its multiples, None without any.

    The mean over groups of their correlation; groups whose reward or advantage does not vary say nothing.
    """
    known = np.isfinite(samples.advantages)
    if not known.any():
        return None
    _, step = np.unique(samples.steps[known], return_inverse=True)
    _, at = np.unique(step * len(samples.keys) + samples.prompts[known], return_inverse=True)
    reward, advantage = (_centred(column[known], at) for column in (samples.rewards, samples.advantages))
    shared, own, other = (np.bincount(at, weights=a * b) for a, b in
                          ((reward, advantage), (reward, reward), (advantage, advantage)))  # fmt: skip
    scale = np.sqrt(own * other)
    varies = scale > 1e-9
    return float(np.mean(shared[varies] / scale[varies])) if varies.any() else None


def _centred(values: Float[np.ndarray, "sample"], at: Int[np.ndarray, "sample"]) -> Float[np.ndarray, "sample"]:
    return values - (np.bincount(at, weights=values) / np.bincount(at))[at]
