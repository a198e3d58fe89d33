"""Averaged and interpolated weights against the run's own at the same reward: how much less SFT loss have they?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.analysis.changes import NATS_RESPONSE, OBJECTIVES
from interlace.analysis.passage import Passage
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import mean_interval


@dataclass(frozen=True, slots=True)
class Alternative:
    """One set of weights, and what the run's own weights had more in SFT loss when they passed its reward."""

    snapshot: Snapshot
    reward: Figure
    sft_loss: Figure
    gain: Figure


def alternative(raw: Passage, snapshot: Snapshot) -> Alternative | Unresolved:
    """Compare `snapshot` with the raw weights at its own reward, interpolated where they first passed it."""
    if not (snapshot.has(SFT_LOSS) and snapshot.has(REWARD)):
        return Unresolved("SFT loss and reward were not both measured")
    means, wanted = raw.rewards.mean(axis=1), float(snapshot.reward.mean())
    after = next((i for i in range(1, len(means)) if means[i - 1] <= wanted <= means[i]), None)
    if after is None or means[after] == means[after - 1]:
        return Unresolved("the raw weights never passed this reward")
    gain = mean_interval(_gain(raw, snapshot, after), unit=NATS_RESPONSE, method="influence function over prompts")
    if isinstance(gain, Estimate) and abs(gain.value) <= _chord_error(raw, wanted, after):
        return Unresolved("the raw weights were measured too rarely near this reward")
    return Alternative(snapshot, OBJECTIVES["reward"].figure(snapshot), OBJECTIVES["sft_loss"].figure(snapshot), gain)


def best_between(raw: Passage, line: Trajectory) -> Alternative | None:
    """The place strictly between the ends of the straight line whose gain is resolved furthest above 0."""
    inner = [snapshot for snapshot in line.snapshots if 0.0 < (snapshot.position or 0.0) < 1.0]
    found = (alternative(raw, snapshot) for snapshot in inner)
    resolved = [item for item in found if isinstance(item, Alternative) and item.gain.sign > 0]
    return max(resolved, key=_certain_gain, default=None)


def _certain_gain(item: Alternative) -> float:
    return item.gain.lower if isinstance(item.gain, Estimate) else 0.0


def _gain(raw: Passage, snapshot: Snapshot, after: int) -> np.ndarray:
    """Pseudo-values of (raw loss at the same reward) - (the snapshot's loss); the place between snapshots moves too."""
    rise = raw.rewards[after] - raw.rewards[after - 1]
    share = float((snapshot.reward - raw.rewards[after - 1]).mean() / rise.mean())
    of_share = (snapshot.reward - raw.rewards[after - 1] - share * rise) / rise.mean()
    climb = raw.losses[after] - raw.losses[after - 1]
    return raw.losses[after - 1] + share * climb + float(climb.mean()) * of_share - snapshot.loss


def _chord_error(raw: Passage, reward: float, after: int) -> float:
    """How much the chord between two snapshots may miss the raw weights' loss: the parabola through a third one."""
    means, losses = raw.rewards.mean(axis=1), raw.losses.mean(axis=1)
    here = [after - 1, after]
    chord = np.interp(reward, means[here], losses[here])
    thirds = [index for index in (after - 2, after + 1) if 0 <= index < len(means) and means[index] not in means[here]]
    return max((abs(_parabola(means, losses, [*here, third], reward) - chord) for third in thirds), default=0.0)


def _parabola(x: np.ndarray, y: np.ndarray, through: list[int], at: float) -> float:
    a, b, c = x[through]
    weights = [(at - b) * (at - c) / ((a - b) * (a - c)), (at - a) * (at - c) / ((b - a) * (b - c))]
    weights.append((at - a) * (at - b) / ((c - a) * (c - b)))
    return float(np.dot(weights, y[through]))
