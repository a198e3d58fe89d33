"""SFT loss as it was read beside what rewards forecast (C7), paired over the prompts that were read at every step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from interlace.dumps.losses import Losses
from interlace.dumps.path import NATS_RESPONSE, RewardPath, no_expert
from interlace.dumps.planned import LossPoint
from interlace.estimate import Figure, Unresolved
from interlace.statistics import bootstrap_interval, mean_interval, paired_change, ratio_interval


def loss_points(
    losses: Losses, resampled: Float[np.ndarray, "resample step"], path: RewardPath
) -> tuple[LossPoint, ...]:
    """A row a step; `resampled` are the mean losses in the same resamples as `path`'s."""
    forecast = _forecast(losses, path)
    return tuple(
        LossPoint(
            step=int(step),
            sft_loss=mean_interval(losses.loss[:, i], unit=NATS_RESPONSE),
            sft_loss_per_token=_per_token(losses, i),
            change=paired_change(losses.loss[:, 0], losses.loss[:, i], unit=NATS_RESPONSE),
            right=_part(losses, i, lambda loss, right: right),
            wrong=_part(losses, i, lambda loss, right: loss - right),
            **_beside(losses, resampled, forecast, i),
        )
        for i, step in enumerate(losses.steps)
    )


def _per_token(losses: Losses, step: int) -> Figure:
    if losses.tokens is None:
        return Unresolved("tokens are not said: a column num_tokens")
    return ratio_interval(losses.loss[:, step], losses.tokens, unit="nats/token")


def _part(losses: Losses, step: int, part: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Figure:
    """A11: the change on the expert's right, or on its wrong, responses; the two add up to the change."""
    if losses.right is None:
        return Unresolved("the expert responses have no reward of 0 or 1: a column reward")
    values = part(losses.loss, losses.right)
    return paired_change(values[:, 0], values[:, step], unit=NATS_RESPONSE)


Forecast = tuple[Float[np.ndarray, "step"], Float[np.ndarray, "resample step"]] | Unresolved


def _forecast(losses: Losses, path: RewardPath) -> Forecast:
    """C7 between the first step at which losses were read and each of them, as estimated and resampled.

    Steps that lie farther from the rollouts than these lie apart have none (NaN).
    """
    if path.expert is None:
        return no_expert()
    if path.refusal is not None:
        return Unresolved(path.refusal)
    if len(path.places) < 2:
        return Unresolved("the rollouts are of one step")
    point, resampled = path.sft_changes()
    reach = float(np.diff(path.places).max())
    beyond = (losses.steps < path.places[0] - reach) | (losses.steps > path.places[-1] + reach)
    places = np.clip(losses.steps, path.places[0], path.places[-1])
    left = np.clip(np.searchsorted(path.places, places, side="right") - 1, 0, len(path.places) - 2)
    share = (places - path.places[left]) / (path.places[left + 1] - path.places[left])

    def at(curve: np.ndarray) -> np.ndarray:
        ends = np.where(share > 0.0, curve[..., left + 1], 0.0), np.where(share < 1.0, curve[..., left], 0.0)
        found = np.where(beyond, np.nan, share * ends[0] + (1.0 - share) * ends[1])
        return found - found[..., :1]

    return at(point), at(resampled)


def _beside(
    losses: Losses, resampled: Float[np.ndarray, "resample step"], forecast: Forecast, step: int
) -> dict[str, Figure]:
    """The forecast, and how far the measured change is beyond it."""
    if isinstance(forecast, Unresolved):
        return {"forecast": forecast, "beyond": forecast}
    point, samples = forecast[0][step], forecast[1][:, step]
    if not np.isfinite(point):
        gone = Unresolved("no rollouts near that step, or none whose variance within prompts is resolved above 0")
        return {"forecast": gone, "beyond": gone}
    means = losses.loss.mean(axis=0)
    measured = means[step] - means[0], resampled[:, step] - resampled[:, 0]
    count = len(losses.prompts)

    def figure(value: float, values: np.ndarray) -> Figure:
        return bootstrap_interval(values, float(value), num_prompts=count, unit=NATS_RESPONSE)

    return {"forecast": figure(point, samples), "beyond": figure(measured[0] - point, measured[1] - samples)}
