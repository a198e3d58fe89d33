"""Means of many segments, resampled together: a prompt that stands in several segments counts alike in each.

The Bayesian bootstrap (Rubin 1981): every prompt has an exponential weight, so that no segment is ever empty, however
few prompts it has; with prompts that come but once it is the bootstrap within segments, with prompts that come in every
segment the paired one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

BLOCK = 32
"""Resamples drawn together: 8 bytes a prompt and entry each."""


@dataclass(frozen=True)
class Segments:
    """Entries in order of their segment: `starts` is where each segment begins, `prompts` whose entry it is (at most
    one a segment), `values` what is averaged, a column a quantity."""

    prompts: Int[np.ndarray, "entry"]
    starts: Int[np.ndarray, "segment"]
    values: Float[np.ndarray, "entry quantity"]

    @property
    def counts(self) -> Float[np.ndarray, "segment"]:
        """Entries of each segment."""
        return np.diff(np.append(self.starts, len(self.prompts))).astype(np.float64)

    @property
    def means(self) -> Float[np.ndarray, "segment quantity"]:
        """The means as they are."""
        return np.add.reduceat(self.values, self.starts, axis=0) / self.counts[:, None]


def resampled_means(
    parts: Sequence[Segments], num_prompts: int, rng: np.random.Generator, resamples: int
) -> list[Float[np.ndarray, "resample segment quantity"]]:
    """The means of every part's segments in each resample of the `num_prompts` prompts that all parts share.

    Their scatter is widened by sqrt((n + 1) / (n - 1)) for a segment of n prompts, by which such weights are short of
    the unbiased variance of a mean; a segment of one prompt has no scatter. Cost: 50 ns an entry and resample.
    """
    found: list[list[np.ndarray]] = [[] for _ in parts]
    for begin in range(0, resamples, BLOCK):
        weights = rng.standard_exponential((min(BLOCK, resamples - begin), num_prompts))
        for part, blocks in zip(parts, found, strict=True):
            blocks.append(_weighted(part, weights[:, part.prompts]))
    return [_widened(part, np.concatenate(blocks)) for part, blocks in zip(parts, found, strict=True)]


def _weighted(part: Segments, weights: Float[np.ndarray, "block entry"]) -> Float[np.ndarray, "block segment quantity"]:
    total = np.add.reduceat(weights, part.starts, axis=1)
    if len(part.starts) == 1:  # one product in place of a sum a column
        return ((weights @ part.values) / total)[:, None]
    sums = [np.add.reduceat(weights * column, part.starts, axis=1) for column in part.values.T]
    return np.stack(sums, axis=-1) / total[..., None]


def _widened(
    part: Segments, means: Float[np.ndarray, "resample segment quantity"]
) -> Float[np.ndarray, "resample segment quantity"]:
    count, point = part.counts, part.means
    factor = np.sqrt((count + 1.0) / np.maximum(count - 1.0, 1.0))
    return point + factor[:, None] * (means - point)
