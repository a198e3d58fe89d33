"""D15: what RL on one objective does to another, to first order, through the parameters that they share."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float


def linearised_cost(
    gradient_loss: Float[np.ndarray, "parameter"],
    gradient_reward: Float[np.ndarray, "parameter"],
    preconditioner: Float[np.ndarray, "parameter"] | Float[np.ndarray, "parameter parameter"] | None,
) -> float:
    """D15: dL/dR = <grad L, P grad R> / <grad R, P grad R>, nats of one objective's loss per reward unit of the other.

    `preconditioner` P of the RL optimiser, symmetric: None for none, its diagonal, or the matrix. Positive: gaining
    reward raises the loss. To first order in the update; on noisy gradients the squared ones are biased (use halves on
    disjoint prompts). The tabular Fisher inverse gives (R - R_D)/V, the inverse of D2's `reward_per_nat`. NaN if the
    reward's gradient is 0: RL then does not move.

    >>> linearised_cost(np.array([1.0, 0.0]), np.array([2.0, 1.0]), None)
    0.4
    """
    update = _applied(preconditioner, gradient_reward)
    gain = float(np.dot(gradient_reward, update))
    return float(np.dot(gradient_loss, update)) / gain if gain != 0.0 else math.nan


def _applied(
    preconditioner: Float[np.ndarray, "parameter"] | Float[np.ndarray, "parameter parameter"] | None,
    gradient: Float[np.ndarray, "parameter"],
) -> Float[np.ndarray, "parameter"]:
    if preconditioner is None:
        return gradient
    return preconditioner @ gradient if preconditioner.ndim == 2 else preconditioner * gradient
