"""C7: the change of SFT loss predicted from on-policy rewards alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def reward_only_sft_change(
    reward: Float[np.ndarray, "*resample checkpoint"],
    variance: Float[np.ndarray, "*resample checkpoint"],
    expert_reward: float | Float[np.ndarray, "*resample"],
) -> Float[np.ndarray, "*resample checkpoint"]:
    """C7: A4's prediction of L - L_0 without any RL time: the integral of (R - R_D)/V dR, nats per response.

    Trapezoid over the checkpoints (last axis), cumulative from 0 at the first. `reward` is R, `variance` the
    within-prompt V > 0, both under the policy of that checkpoint; leading axes are resamples. Where V is 0 the path has
    no reward left to move along and the law says nothing: inf or NaN from there on.

    Condition: the policy moves on the RL path (A); the gap to the measured L is a figure of its own. The trapezoid's
    error falls with the square of the reward between checkpoints.

    >>> reward_only_sft_change(np.array([0.4, 0.5, 0.6]), np.array([0.25, 0.25, 0.25]), 0.5).round(3).tolist()
    [0.0, -0.02, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (reward - np.asarray(expert_reward)[..., None]) / variance
    return integral_over_reward(slope, reward)


def integral_over_reward(
    integrand: Float[np.ndarray, "*resample checkpoint"], reward: Float[np.ndarray, "*resample checkpoint"]
) -> Float[np.ndarray, "*resample checkpoint"]:
    """The integral of `integrand` dR along checkpoints: trapezoid, cumulative from 0 at the first."""
    with np.errstate(invalid="ignore"):
        steps = 0.5 * (integrand[..., 1:] + integrand[..., :-1]) * np.diff(reward, axis=-1)
        return np.concatenate([np.zeros_like(reward[..., :1]), np.cumsum(steps, axis=-1)], axis=-1)
