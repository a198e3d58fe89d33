"""What the rules weigh: R - lambda L since the stage's start, and how fast the RL path changes it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.analysis.parity_gap import parity_gap
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.measurement import HeldOut
from interlace.statistics import bounded_mean_interval

RATE = "reward units^2"
METHOD = "sum of two intervals, each with half of the error"


def unknown_expert_reward(held: HeldOut) -> str | None:
    """Why R_D is not known, if so."""
    if not held.prompt.size:
        return f"task {held.task} has no expert responses"
    return None if np.isfinite(held.reward).all() else f"the expert's responses of task {held.task} have no rewards"


def gain(before: Snapshot, after: Snapshot, exchange_rate: float) -> Float[np.ndarray, "prompt"]:
    """The change of R - lambda L of each prompt, reward units."""
    return (after.reward - before.reward) - exchange_rate * (after.loss - before.loss)


def lacks(trajectory: Trajectory) -> str | None:
    """Why R - lambda L cannot be had at start and now, if so."""
    return trajectory.gap(SFT_LOSS, REWARD)


def path_slope(now: Snapshot, expert: Float[np.ndarray, "prompt"], exchange_rate: float, *, level: float) -> Figure:
    """V - lambda (R - R_D): what a unit of RL time adds to R - lambda L on the RL path (A6), reward units^2.

    V is the variance of the reward within prompts. The interval joins one of V and one of the parity gap, each with
    half of the error: conservative, and both know what few samples near an end of the range do not say.
    """
    half = (1.0 + level) / 2.0
    gap, variance = parity_gap(now, expert, level=half), mean_variance(now, level=half)
    if isinstance(gap, Unresolved):
        return gap
    if isinstance(variance, Unresolved):
        return variance
    value = variance.value - exchange_rate * gap.value
    lower, upper = variance.lower - exchange_rate * gap.upper, variance.upper - exchange_rate * gap.lower
    return Estimate(value, lower, upper, level, gap.n, METHOD, RATE)


def mean_variance(now: Snapshot, *, level: float) -> Figure:
    """V: the variance of the reward within prompts, in the range that its values leave to it."""
    values, chances = now.scores.reward_values, now.scores.reward_probabilities
    assert values is not None and chances is not None
    seen = np.concatenate([values[chances > 0.0], now.held.reward])
    samples = values.shape[1]
    most = float(np.ptp(seen)) ** 2 / 4.0 * (1.0 if now.scores.reward_is_exact else samples / (samples - 1))
    if most == 0.0:
        return Unresolved(f"every reward seen is {seen[0]:.4g}, and the reward's range is not known")
    is_exact = now.scores.reward_is_exact
    return bounded_mean_interval(now.reward_variance, 0.0, most, unit=RATE, is_exact=is_exact, level=level)
