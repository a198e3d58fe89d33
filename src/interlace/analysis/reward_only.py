"""C7: the change of SFT loss that on-policy rewards alone predict, with the error of its prompts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from interlace.analysis.changes import NATS_RESPONSE
from interlace.analysis.passage import Passage
from interlace.estimate import Figure, Unresolved
from interlace.statistics import bootstrap_interval
from interlace.theory.paths import reward_only_sft_change

WHOLE = slice(None)


def predicted_change(passage: Passage, snapshots: slice = WHOLE) -> Figure:
    """The integral of (R - R_D)/V dR over `snapshots` (trapezoid), nats/response."""
    point, resampled = (_integral(passage, snapshots, weights) for weights in (_equal(passage), passage.resample))
    return _interval(passage, float(point[0, -1]), resampled[:, -1])


def beyond_rewards(passage: Passage) -> Figure:
    """Measured change of SFT loss over the stage minus what its on-policy rewards predict, paired, nats/response."""
    measured = passage.loss_change(0, -1)
    if isinstance(measured, Unresolved):
        return measured
    change = passage.losses[-1] - passage.losses[0]
    point, resampled = (
        weights @ change - _integral(passage, WHOLE, weights)[:, -1] for weights in (_equal(passage), passage.resample)
    )
    return _interval(passage, float(point[0]), resampled)


def predicted_size(passage: Passage) -> float:
    """The largest change of SFT loss predicted anywhere along the stage, nats/response."""
    return float(np.abs(_integral(passage, WHOLE, _equal(passage))).max())


def trapezoid_error(passage: Passage) -> float | None:
    """About how far the trapezoid is from the integral, nats/response: it falls with the square of the spacing.

    A third of the difference to the trapezoid over every second snapshot and the last; None with two snapshots only.
    """
    count = len(passage.rewards)
    if count < 3:
        return None
    halved = np.unique([*range(0, count, 2), count - 1])
    fine, coarse = (_integral(passage, snapshots, _equal(passage)) for snapshots in (WHOLE, halved))
    return abs(float(fine[0, -1] - coarse[0, -1])) / 3.0


def _integral(
    passage: Passage, snapshots: slice | Int[np.ndarray, "snapshot"], weights: Float[np.ndarray, "resample prompt"]
) -> Float[np.ndarray, "resample snapshot"]:
    """The integral from the first snapshot up to each."""
    rewards, variances = (weights @ values[snapshots].T for values in (passage.rewards, passage.variances))
    return reward_only_sft_change(rewards, variances, weights @ passage.both.expert_reward)


def _equal(passage: Passage) -> Float[np.ndarray, "1 prompt"]:
    count = passage.rewards.shape[1]
    return np.full((1, count), 1.0 / count)


def _interval(passage: Passage, point: float, resampled: Float[np.ndarray, "resample"]) -> Figure:
    return bootstrap_interval(resampled, point, num_prompts=passage.rewards.shape[1], unit=NATS_RESPONSE)
