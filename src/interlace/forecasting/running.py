"""The forecast while RL goes on: where reward and SFT loss will end, when parity comes, where to stop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.encoding import decode_float, encode_float, jsonable
from interlace.estimate import Estimate, Figure, Unresolved, figure_from_json
from interlace.forecasting.calibration import Calibration, Composition, progress_at
from interlace.forecasting.curve import NATS, REWARD
from interlace.forecasting.reward_curve import RewardCurve

SCOPE = "this run from here on"
"""Scope of a forecast's interval: what the same run will show at a later look, on the same prompts."""
LEVEL, DRAWS = 0.95, 4000
SHARES = (0.0, 0.1, 0.2, 0.5)
"""Shares of a stage at which its rest is forecast, at the first look from there on."""
FAN = 12
"""Rewards at which the forecast of SFT loss is kept, from the start's to the best there is."""
LEAST_LOOKS = 2
"""Looks after the start from which the reward's curve can be told."""
STEPS = "optimizer steps"


@dataclass(frozen=True, slots=True)
class Looks:
    """What was measured so far, step 0 first: means over the held-out prompts. Reward (reward units) is that of the
    task which RL trains, SFT loss (nats/response) may be another's; `kl`: to the start, nats/response, NaN where it was
    not measured."""

    steps: Float[np.ndarray, "look"]
    reward: Float[np.ndarray, "look"]
    sft_loss: Float[np.ndarray, "look"]
    kl: Float[np.ndarray, "look"] | None = None

    def moved_to(self, other: Looks) -> Looks:
        """The same changes from where `other` starts."""
        reward, loss = self.reward - self.reward[0] + other.reward[0], self.sft_loss - self.sft_loss[0]
        return Looks(self.steps, reward, loss + other.sft_loss[0], self.kl)

    def until(self, step: float) -> Looks:
        """The looks up to `step`."""
        kept = self.steps <= step
        kl = None if self.kl is None else self.kl[kept]
        return Looks(self.steps[kept], self.reward[kept], self.sft_loss[kept], kl)


@dataclass(frozen=True, slots=True)
class FanPoint:
    """SFT loss (nats/response) of the stage's last look, if the reward is `reward` there."""

    reward: float
    sft_loss: Estimate

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"reward": encode_float(self.reward), "sft_loss": self.sft_loss.to_json()}


@dataclass(frozen=True, slots=True)
class RunningForecast:
    """Made after `made_at` optimizer steps, of the stage's last step `for_step`.

    `reward` and `sft_loss` at that step; `fan`: SFT loss there given the reward there, which can be said before
    anything is known of how fast reward rises; `parity_step`: when the reward passes the expert's; `best_stop`: of the
    steps left, that at which R - lambda L is greatest, for the exchange rate lambda that was asked for (None: none
    was); `notes`: what it must be read with, in sentences.
    """

    made_at: int
    for_step: int
    reward: Figure
    sft_loss: Figure
    parity_step: Figure
    best_stop: Figure | None
    fan: tuple[FanPoint, ...]
    notes: tuple[str, ...] = ()

    def given(self, reward: float) -> Figure:
        """SFT loss of a look at `reward`, between the fan's points; Unresolved beyond its ends."""
        rewards = [point.reward for point in self.fan]
        if not rewards[0] <= reward <= rewards[-1]:
            return Unresolved(f"no forecast was made of SFT loss at reward {reward:.3f}")
        low, middle, high = (
            float(np.interp(reward, rewards, [getattr(point.sft_loss, end) for point in self.fan]))
            for end in ("lower", "value", "upper")
        )
        method = "posterior predictive, between two rewards"
        return Estimate(middle, low, high, LEVEL, DRAWS, method, NATS, SCOPE)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunningForecast:
        """The inverse of `to_json`; records from before there were notes have none."""
        figures = {name: figure_from_json(data[name]) for name in ("reward", "sft_loss", "parity_step")}
        stop = None if data["best_stop"] is None else figure_from_json(data["best_stop"])
        fan = [FanPoint(decode_float(item["reward"]), _estimate(item["sft_loss"])) for item in data["fan"]]
        notes = tuple(data.get("notes", ()))
        return cls(made_at=data["made_at"], for_step=data["for_step"], best_stop=stop, fan=tuple(fan), notes=notes,
                   **figures)  # fmt: skip


def running_forecast(
    looks: Looks,
    composition: Composition,
    for_step: int,
    rng: np.random.Generator,
    *,
    top: float,
    bottom: float = -np.inf,
    expert_reward: float,
    exchange_rate: float | None = None,
    decay: float | None = None,
) -> RunningForecast:
    """Forecast the rest of a stage from the `looks` so far.

    `composition`: what SFT loss may be made of; `top`, `bottom`: the best and the least mean reward there is;
    `expert_reward`: R_D; `decay`: of the exponential average, where it is that which is forecast. Intervals are the
    middle 95 % of draws from the posterior predictive, the noise of the later look included; no draw of SFT loss is
    below 0.
    """
    come = progress_at(looks.steps[1:], for_step, decay)
    calibration = Calibration(
        composition, looks.reward[1:] - looks.reward[0], come, looks.sft_loss[1:] - looks.sft_loss[0]
    )
    made_at, first_loss = int(looks.steps[-1]), float(looks.sft_loss[0])
    fan = _fan(calibration, looks, top, rng)
    mute = _untold(looks)
    if mute is not None:
        return RunningForecast(made_at, for_step, mute, mute, mute, None if exchange_rate is None else mute, fan)
    steps = np.unique(np.linspace(made_at, for_step, 64).round())
    curve = RewardCurve(looks.steps[1:], looks.reward[1:] - looks.reward[0], max(1e-6, top - float(looks.reward[0])))
    gains = curve.draws(steps, DRAWS, rng)
    rewards = np.clip(looks.reward[0] + gains, min(bottom, looks.reward.min()), top)
    losses = np.maximum(0.0, first_loss + calibration.draws(gains, progress_at(steps, for_step, decay), rng))
    worth = None if exchange_rate is None else rewards - exchange_rate * losses
    return RunningForecast(
        made_at=made_at,
        for_step=for_step,
        reward=_middle(rewards[:, -1], REWARD),
        sft_loss=_middle(losses[:, -1], NATS),
        parity_step=_parity(steps, rewards, expert_reward, looks),
        best_stop=None if worth is None else _middle(steps[worth.argmax(axis=1)], STEPS),
        fan=fan,
    )


def _untold(looks: Looks) -> Unresolved | None:
    """Why the looks do not tell where the stage will end, if so."""
    if looks.steps.size <= LEAST_LOOKS:
        return Unresolved("how fast reward rises is told from the third look on; `fan` says what each reward costs")
    if not (np.ptp(looks.reward) > 0.0 or np.ptp(looks.sft_loss) > 0.0):
        return Unresolved("neither reward nor SFT loss has moved since the start")
    return None


def _estimate(data: dict[str, Any]) -> Estimate:
    figure = figure_from_json(data)
    assert isinstance(figure, Estimate)
    return figure


def _fan(calibration: Calibration, looks: Looks, top: float, rng: np.random.Generator) -> tuple[FanPoint, ...]:
    first = float(looks.reward[0])
    gains = np.linspace(0.0, max(0.0, top - first), FAN)
    drawn = calibration.draws(np.tile(gains, (DRAWS, 1)), np.ones(FAN), rng)
    losses = np.maximum(0.0, float(looks.sft_loss[0]) + drawn)
    return tuple(FanPoint(first + gain, _middle(losses[:, i], NATS)) for i, gain in enumerate(gains.tolist()))


def _parity(
    steps: Float[np.ndarray, "step"], rewards: Float[np.ndarray, "draw step"], expert: float, looks: Looks
) -> Figure:
    """The first step whose reward is the expert's, where nearly all draws have one."""
    if not np.isfinite(expert):
        return Unresolved("the expert's reward is not known")
    if (looks.reward >= expert).any():
        return Unresolved("the reward has been at or above the expert's already")
    passed = rewards >= expert
    share = float(passed.any(axis=1).mean())
    if share < 0.5 + LEVEL / 2:
        return Unresolved(f"the reward passes the expert's by step {steps[-1]:.0f} in {share:.0%} of the draws")
    return _middle(steps[passed.argmax(axis=1)][passed.any(axis=1)], STEPS)


def _middle(draws: Float[np.ndarray, "draw"], unit: str) -> Estimate:
    """The median with the middle `LEVEL` of the draws."""
    low, middle, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2]).tolist()
    return Estimate(middle, low, high, LEVEL, draws.size, "posterior predictive", unit, SCOPE)
