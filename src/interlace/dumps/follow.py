"""From groups to the path: curves of R and V along steps.

Every step asks other prompts, so R and V jump with them: `choose_smoother` draws a curve only as smooth as that noise
asks for, and the prompts are resampled (`resampled_means`), wherever they stand.
"""

from __future__ import annotations

import numpy as np

from interlace.dumps.groups import Groups
from interlace.dumps.path import RESAMPLES, Drawn, Points, RewardPath
from interlace.statistics import Segments, Smoother, choose_smoother, resampled_means


def follow(
    groups: Groups,
    expert: float | None,
    scores: Segments | None,
    num_prompts: int,
    rng: np.random.Generator,
    more: tuple[Segments, ...] = (),
    resamples: int = RESAMPLES,
) -> tuple[RewardPath, list[np.ndarray]]:
    """The path of `groups`, and the resampled means of `more`, which go with it.

    `expert`: R_D where it is given; `scores`: what each prompt of the SFT data earns, where it is measured.
    `num_prompts`: of everything together.
    """
    pairs = np.flatnonzero(np.isfinite(groups.variances))
    starts = np.searchsorted(pairs, groups.starts)
    several = Segments(groups.prompts[pairs], starts, groups.variances[pairs, None])
    everything = Segments(groups.prompts, groups.starts, groups.means[:, None])
    refusal = _no_variance(groups, starts, len(pairs))
    parts = [everything, *([several] if refusal is None else []), *([scores] if scores else []), *more]
    found = resampled_means(parts, num_prompts, rng, resamples)
    rewards, found = found[0][..., 0], found[1:]
    smooth_reward = _smoother(groups, everything.means[:, 0], rewards)
    variance, variances, span = np.zeros(len(starts)), np.zeros_like(rewards), 1
    if refusal is None:
        variances, found = found[0][..., 0], found[1:]
        smooth = _smoother(groups, several.means[:, 0], variances)
        variance, variances, span = smooth(several.means[:, 0]), smooth(variances), smooth.span
    experts = None if expert is None else np.full(resamples, expert)
    if scores is not None:
        expert, experts, found = float(scores.means[0, 0]), found[0][:, 0, 0], found[1:]
    path = RewardPath(
        places=groups.places,
        reward=_in_range(smooth_reward(everything.means[:, 0]), groups),
        rewards=_in_range(smooth_reward(rewards), groups),
        variance=variance,
        variances=variances,
        expert=expert,
        experts=experts,
        num_prompts=len(np.unique(groups.prompts)),
        spans=(smooth_reward.span, span),
        refusal=refusal,
    )
    return path, found


def _in_range(curve: np.ndarray, groups: Groups) -> np.ndarray:
    """A curve of mean rewards, which no parabola may lead beyond the rewards that were seen."""
    return np.clip(curve, groups.values.min(), groups.values.max())


def _smoother(groups: Groups, values: Points, resampled: Drawn) -> Smoother:
    covariance = np.atleast_2d(np.cov(resampled.T))
    counts = np.diff(np.append(groups.starts, len(groups.prompts))).astype(np.float64)
    return choose_smoother(groups.places, values, covariance, counts)


def _no_variance(groups: Groups, starts: np.ndarray, count: int) -> str | None:
    """Why the variance within prompts is not known at every point, or is 0 at all of them."""
    if count and not np.nan_to_num(groups.variances).any():
        return f"no reward differs within any of {count:,} groups: without variance within prompts RL moves nowhere"
    bare = np.flatnonzero(np.diff(np.append(starts, count)) == 0)
    if not len(bare):
        return None
    where = "no prompt" if len(bare) == len(starts) else f"at step {groups.first[bare[0]]} no prompt"
    return f"{where} has two samples of one step, so rewards cannot vary within a prompt: sample groups of two or more"
