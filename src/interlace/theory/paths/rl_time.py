"""D5: the RL time of a real run, read from its log-ratios or from its rewards alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from interlace.theory.paths.reward_only import integral_over_reward


class RlTimeFit(NamedTuple):
    """D5: the fitted `rl_time` (per reward unit) and the share of the movement it explains, in [0, 1]."""

    rl_time: float
    on_path_share: float


def rl_time_from_log_ratios(
    log_ratios: Float[np.ndarray, "prompt sample"],
    rewards: Num[np.ndarray, "prompt sample"],
    *,
    weights: Num[np.ndarray, "prompt sample"] | None = None,
) -> RlTimeFit:
    """D5: the pooled within-prompt regression of log(pi/reference) on the reward, over samples of the POLICY.

    The slope is the RL time tau; its R^2 is the share of the log-ratios' within-prompt variance that lies on the RL
    path: 1 exactly on it (at tau = 0 too, where nothing varies), 0 where they do not follow the reward. Both NaN where
    rewards do not vary within prompts. `weights` >= 0 weigh samples within and across prompts (x's weight times
    pi(y | x) for exact enumeration; default: equal); what has weight 0 is ignored.

    >>> rl_time_from_log_ratios(np.array([[1.0, 3.0], [-2.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    RlTimeFit(rl_time=2.0, on_path_share=1.0)
    """
    shared, spread, moved = (float(sums.sum()) for sums in within_prompt_sums(log_ratios, rewards, weights=weights))
    if spread == 0.0:
        return RlTimeFit(math.nan, math.nan)
    slope = shared / spread
    return RlTimeFit(slope, min(1.0, slope * shared / moved) if moved > 0.0 else 1.0)


def within_prompt_sums(
    log_ratios: Float[np.ndarray, "prompt sample"],
    rewards: Num[np.ndarray, "prompt sample"],
    *,
    weights: Num[np.ndarray, "prompt sample"] | None = None,
) -> tuple[Float[np.ndarray, "prompt"], Float[np.ndarray, "prompt"], Float[np.ndarray, "prompt"]]:
    """What D5 adds up, prompt by prompt, of deviations from the prompt's own means: ratio x reward, reward squared,
    ratio squared. The slope is sum(first) / sum(second), R^2 is sum(first)^2 / (sum(second) sum(third)).

    >>> [sums.tolist() for sums in within_prompt_sums(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))]
    [[1.0], [0.5], [2.0]]
    """
    weight = np.ones(np.shape(rewards)) if weights is None else np.asarray(weights, dtype=np.float64)
    ratio, reward = (_within(np.asarray(each, dtype=np.float64), weight) for each in (log_ratios, rewards))
    shared, spread, moved = weight * ratio * reward, weight * reward * reward, weight * ratio * ratio
    return shared.sum(axis=-1), spread.sum(axis=-1), moved.sum(axis=-1)


def rl_time_from_rewards(
    rewards: Float[np.ndarray, "*resample checkpoint"], variances: Float[np.ndarray, "*resample checkpoint"]
) -> Float[np.ndarray, "*resample checkpoint"]:
    """D5: the RL time since the first checkpoint from rewards alone, the integral of dR/V, per reward unit.

    Trapezoid over the checkpoints (last axis), cumulative from 0 at the first; `variances` are the within-prompt V > 0,
    both under the policy of that checkpoint; leading axes are resamples. Negative where reward fell. Where V is 0 there
    is no reward left to move along: inf or NaN from there on. Exact on the RL path but for the trapezoid, whose error
    falls with the square of the reward between checkpoints.

    >>> rl_time_from_rewards(np.array([0.4, 0.5, 0.6]), np.array([0.25, 0.25, 0.25])).round(3).tolist()
    [0.0, 0.4, 0.8]
    """
    with np.errstate(divide="ignore"):
        return integral_over_reward(1.0 / np.asarray(variances), np.asarray(rewards))


def _within(
    values: Float[np.ndarray, "prompt sample"], weight: Float[np.ndarray, "prompt sample"]
) -> Float[np.ndarray, "prompt sample"]:
    """`values` less their weighted mean within each prompt; equal values give exactly 0, weight 0 gives 0."""
    counted = weight > 0.0
    first = np.take_along_axis(values, np.argmax(counted, axis=-1, keepdims=True), axis=-1)
    shifted = np.where(counted, values - np.where(np.any(counted, axis=-1, keepdims=True), first, 0.0), 0.0)
    total = weight.sum(axis=-1, keepdims=True)
    mean = np.divide((weight * shifted).sum(axis=-1, keepdims=True), total, out=np.zeros_like(total), where=total > 0.0)
    return np.where(counted, shifted - mean, 0.0)
