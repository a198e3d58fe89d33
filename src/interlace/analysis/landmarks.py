"""Where a stage passed the expert's reward, and where its SFT loss was least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace.analysis.changes import NATS_RESPONSE, REWARD_UNIT, reward_level
from interlace.analysis.passage import Passage
from interlace.analysis.summary import Landmarks, Step
from interlace.analysis.trajectory import REWARD, SFT_LOSS
from interlace.estimate import Figure, Unresolved
from interlace.statistics import bootstrap_interval, mean_interval, paired_change


def landmarks(passage: Passage) -> Landmarks:
    """The landmarks of a stage under one kind of weights."""
    step, crossing = _parity(passage)
    least, reward, loss = _least(passage)
    return Landmarks(step, crossing, least, reward, loss)


def _parity(passage: Passage) -> tuple[Step, float | Unresolved]:
    """First step resolved above the expert's reward, and where the means crossed before it."""
    gap = passage.trajectory.without_expert or passage.trajectory.gap(REWARD)
    if gap is not None:
        return Unresolved(gap), Unresolved(gap)
    part = passage.trajectory.measured(REWARD)
    expert = part.expert_reward
    gaps = [paired_change(expert, snapshot.reward, unit=REWARD_UNIT) for snapshot in part.snapshots]
    first = next((i for i, figure in enumerate(gaps) if figure.sign > 0), None)
    if first is None:
        reason = Unresolved("no measured step has its reward resolved above the expert's")
        return reason, reason
    means = [float((snapshot.reward - expert).mean()) for snapshot in part.snapshots]
    below = next((i for i in range(first, -1, -1) if means[i] <= 0.0), None)
    if below is None:
        return part.steps[first], Unresolved("the reward stood above the expert's from the stage's start")
    share = means[below] / (means[below] - means[below + 1])
    return part.steps[first], part.steps[below] + share * (part.steps[below + 1] - part.steps[below])


def _least(passage: Passage) -> tuple[Step, Figure, Figure]:
    """Step of the least SFT loss, the reward there, and that loss.

    The reward's interval resamples prompts and looks for the least loss anew each time, so that it covers the doubt
    about the step; it is no narrower than the reward's own at that step.
    """
    gap = passage.trajectory.gap(SFT_LOSS)
    if gap is not None:
        return Unresolved(gap), Unresolved(gap), Unresolved(gap)
    part = passage.trajectory.measured(SFT_LOSS)
    losses = np.stack([snapshot.loss for snapshot in part.snapshots])
    finite = np.isfinite(losses).all(axis=1)
    if not finite.any():
        reason = Unresolved("SFT loss is not finite at any measured step")
        return reason, reason, reason
    least = int(np.where(finite, losses.mean(axis=1), np.inf).argmin())
    return part.steps[least], _reward_at_least(passage), mean_interval(losses[least], unit=NATS_RESPONSE)


def _reward_at_least(passage: Passage) -> Figure:
    if passage.gap is not None:
        return Unresolved(passage.gap)
    finite = np.flatnonzero(np.isfinite(passage.losses).all(axis=1))
    if not finite.size:
        return Unresolved("SFT loss is not finite at any measured step")
    losses, rewards = passage.losses[finite], passage.rewards[finite]
    least = int(losses.mean(axis=1).argmin())
    chosen = (passage.resample @ losses.T).argmin(axis=1)[:, None]
    resampled = np.take_along_axis(passage.resample @ rewards.T, chosen, axis=1)[:, 0]
    around_step = bootstrap_interval(
        resampled, float(rewards[least].mean()), num_prompts=rewards.shape[1], unit=REWARD_UNIT
    )
    return _spanning(around_step, reward_level(passage.both.snapshots[finite[least]]))


def _spanning(resampled: Figure, level: Figure) -> Figure:
    """The resampled interval, no narrower than the level's own: resamples of equal prompts are all equal."""
    if isinstance(resampled, Unresolved) or isinstance(level, Unresolved):
        return resampled
    lower, upper = min(resampled.lower, level.lower), max(resampled.upper, level.upper)
    return replace(resampled, lower=lower, upper=upper, method=f"{resampled.method}, no narrower than the step's own")
