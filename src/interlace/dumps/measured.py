"""SFT loss as it was read beside what rewards forecast (C7) and what the tilts ask for (A10), paired over the prompts
that were read at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interlace.dumps.losses import Losses
from interlace.dumps.path import NATS_RESPONSE, PER_REWARD, RewardPath, finite_interval, no_expert
from interlace.dumps.planned import LossPoint
from interlace.dumps.tilts import TiltPath
from interlace.estimate import Figure, Unresolved
from interlace.statistics import mean_interval, paired_change, ratio_interval


def loss_points(
    losses: Losses,
    resampled: Float[np.ndarray, "resample step"],
    path: RewardPath,
    tilts: TiltPath | Unresolved,
) -> tuple[LossPoint, ...]:
    """A row a step; `resampled` are the mean losses in the same resamples as `path`'s."""
    means = losses.loss.mean(axis=0)
    change = _Along(means - means[0], resampled - resampled[:, :1], len(losses.prompts))
    forecast, (tilt, time) = _forecast(losses, path), _tilt(losses, path, tilts)
    return tuple(
        LossPoint(
            step=int(step),
            sft_loss=mean_interval(losses.loss[:, i], unit=NATS_RESPONSE),
            sft_loss_per_token=_per_token(losses, i),
            change=paired_change(losses.loss[:, 0], losses.loss[:, i], unit=NATS_RESPONSE),
            right=_part(losses, i, lambda loss, right: right),
            wrong=_part(losses, i, lambda loss, right: loss - right),
            tilt=_figure(tilt, i),
            off_path=_figure(change.beyond(tilt), i),
            rl_time=_figure(time, i, PER_REWARD),
            forecast=_figure(forecast, i),
            beyond=_figure(change.beyond(forecast), i),
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


@dataclass(frozen=True)
class _Along:
    """A quantity at the steps at which losses were read, less that at the first, as estimated and resampled over
    `count` prompts. `reasons`: why a step has none (NaN there)."""

    point: Float[np.ndarray, "step"]
    resampled: Float[np.ndarray, "resample step"]
    count: int
    reasons: tuple[Unresolved, ...] = ()

    def beyond(self, other: _Along | Unresolved) -> _Along | Unresolved:
        """This less `other`, where that is known."""
        if isinstance(other, Unresolved):
            return other
        return _Along(self.point - other.point, self.resampled - other.resampled, self.count, other.reasons)

    def figure(self, step: int, unit: str) -> Figure:
        """One step's, with its interval."""
        return finite_interval(float(self.point[step]), self.resampled[:, step], self.count, unit, self.reasons[step])


def _figure(along: _Along | Unresolved, step: int, unit: str = NATS_RESPONSE) -> Figure:
    return along if isinstance(along, Unresolved) else along.figure(step, unit)


def _forecast(losses: Losses, path: RewardPath) -> _Along | Unresolved:
    """C7 between the first step at which losses were read and each of them."""
    if path.expert is None:
        return no_expert()
    if path.refusal is not None:
        return Unresolved(path.refusal)
    if len(path.places) < 2:
        return Unresolved("the rollouts are of one step")
    gone = Unresolved("no rollouts near that step, or none whose variance within prompts is resolved above 0")
    return _at_losses(losses, path, *path.sft_changes(), (gone,) * len(losses.steps))


def _tilt(losses: Losses, path: RewardPath, tilts: TiltPath | Unresolved) -> tuple[_Along | Unresolved, ...]:
    """A10's tilt part, and the tilt's RL time, between the first step at which losses were read and each of them."""
    if isinstance(tilts, Unresolved):
        return tilts, tilts
    if len(path.places) < 2:
        return (Unresolved("the rollouts are of one step"),) * 2
    reasons = tuple(tilts.reasons[int(np.abs(path.places - step).argmin())] for step in losses.steps)
    part = no_expert() if path.expert is None else _at_losses(losses, path, tilts.part, tilts.parts, reasons)
    return part, _at_losses(losses, path, tilts.time, tilts.times, reasons)


def _at_losses(
    losses: Losses,
    path: RewardPath,
    point: Float[np.ndarray, "point"],
    resampled: Float[np.ndarray, "resample point"],
    reasons: tuple[Unresolved, ...],
) -> _Along:
    """A curve along the rollouts at the steps of `losses`, less its value at the first of these.

    Steps that lie farther from the rollouts than these lie apart have none.
    """
    places = np.clip(losses.steps, path.places[0], path.places[-1])
    far = np.abs(losses.steps - places) > float(np.diff(path.places).max())
    left = np.clip(np.searchsorted(path.places, places, side="right") - 1, 0, len(path.places) - 2)
    share = (places - path.places[left]) / (path.places[left + 1] - path.places[left])

    def at(curve: np.ndarray) -> np.ndarray:
        ends = np.where(share > 0.0, curve[..., left + 1], 0.0), np.where(share < 1.0, curve[..., left], 0.0)
        found = np.where(far, np.nan, share * ends[0] + (1.0 - share) * ends[1])
        return found - found[..., :1]

    away = Unresolved("no rollouts near that step")
    reasons = tuple(away if is_far else reason for is_far, reason in zip(far | far[0], reasons, strict=True))
    return _Along(at(point), at(resampled), len(losses.prompts), reasons)
