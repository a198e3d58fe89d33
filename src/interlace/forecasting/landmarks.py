"""Where a forecast curve turns: parity, the threshold of no return, and the reward to stop at for an exchange rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure, Unresolved
from interlace.forecasting.curve import REWARD, Curve
from interlace.statistics import influence_interval, reward_interval
from interlace.theory.checks import check_exchange_rate


@dataclass(frozen=True, slots=True)
class Stop:
    """Where R - lambda L is greatest on a curve, and for which exchange rates the same advice holds.

    `reward`: to stop at, with its interval over prompts; `gain`: of R - lambda L over not beginning, reward units;
    `holds_from`, `holds_to`: exchange rates between which the best reward stays within a twentieth of the curve's
    range.
    """

    exchange_rate: float
    reward: Figure
    gain: Figure
    holds_from: float
    holds_to: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """`least_loss`: the reward at which SFT loss is least; `parity`: where it equals the expert's (A4);
    `threshold`: where SFT loss is back at its start (A5)."""

    least_loss: Figure
    parity: Figure
    threshold: Figure


def landmarks_of(curve: Curve) -> Landmarks:
    """The rewards at which a curve turns, each with its interval; Unresolved says why there is none."""
    return Landmarks(_least_loss(curve), _parity(curve), _threshold(curve))


def best_stop(curve: Curve, exchange_rate: float) -> Stop:
    """The best reward to stop at if a nat of SFT loss is worth `exchange_rate` reward units: the global one (A6).

    Raises DataError if `exchange_rate` is not positive and finite.
    """
    check_exchange_rate(exchange_rate, positive=True)
    index = _best(curve, exchange_rate)
    gain = curve.paths.reward - exchange_rate * curve.paths.loss
    gained = gain[index] - gain[0]
    return Stop(
        exchange_rate,
        _stationary(curve, index, 1.0 / exchange_rate),
        influence_interval(float(gained.mean()), gained, unit=REWARD, method="path model, influence over prompts"),
        *_range_of(curve, exchange_rate),
    )


def _best(curve: Curve, exchange_rate: float) -> int:
    return int(np.argmax(curve.reward - exchange_rate * curve.loss_change))


def _stationary(curve: Curve, index: int, price: float) -> Figure:
    """The reward near the path's point `index` where the next unit of reward costs `price` nats.

    Its error: that of the slope dL/dR there, over the slope's own slope; at the path's ends that of the reward there.
    """
    last = curve.reward.size - 1
    if index in (0, last):
        start = curve.paths.start
        level = reward_interval(curve.paths.reward[index], start.problem.reward, is_exact=start.pass_rates_are_exact)
        where = "the start" if index == 0 else "the path's end"
        return level if isinstance(level, Unresolved) else replace(level, method=f"{where} is best; {level.method}")
    slopes = np.array([curve.loss_slope(reward) for reward in curve.reward.tolist()])
    near = slice(index - 1, index + 2)
    reward = float(np.interp(price, np.maximum.accumulate(slopes[near]), curve.reward[near]))
    bend = curve.slope(slopes, reward)
    if not bend > 0.0:
        return Unresolved("the path is straight here: many rewards are equally good to stop at")
    influence = _at_level(curve, -curve.slope_pseudo_values(reward) / bend)
    stop = influence_interval(reward, influence, unit=REWARD, method="slope of the path, influence over prompts")
    return _in_range(stop, curve)


def _at_level(curve: Curve, influence: Float[np.ndarray, "prompt"]) -> Float[np.ndarray, "prompt"]:
    """Influence on a level of reward, from that on the gain up to it.

    A start whose reward was sampled has an error of its own. It adds to the level where the gain does not depend on it,
    and cancels where the level is fixed (by parity, on the RL path): the wider of both readings is taken.
    """
    if curve.paths.start.pass_rates_are_exact:
        return influence
    return max(influence, curve.paths.reward[0] + influence, key=np.std)


def _in_range(figure: Figure, curve: Curve) -> Figure:
    """A level of reward whose interval ends where rewards do: beyond them linearisation alone would lead it."""
    rewards = curve.paths.start.problem.reward
    low, high = float(rewards.min()), float(rewards.max())
    if isinstance(figure, Unresolved) or low <= figure.lower <= figure.upper <= high:
        return figure
    return replace(figure, lower=max(low, figure.lower), upper=min(high, figure.upper))


def _range_of(curve: Curve, exchange_rate: float) -> tuple[float, float]:
    """Exchange rates around this one whose best reward is the same within a twentieth of the curve's range."""
    here = curve.reward[_best(curve, exchange_rate)]
    near = 0.05 * (curve.reward[-1] - curve.reward[0])
    rates = exchange_rate * 2.0 ** np.linspace(-6.0, 6.0, 241)
    same = np.array([abs(curve.reward[_best(curve, rate)] - here) <= near for rate in rates.tolist()])
    middle = rates.size // 2
    below = middle - int(np.argmin(same[middle::-1])) + 1 if not same[: middle + 1].all() else 0
    above = middle + int(np.argmin(same[middle:])) - 1 if not same[middle:].all() else rates.size - 1
    return float(rates[below]) if below else 0.0, float(rates[above]) if above < rates.size - 1 else math.inf


def _least_loss(curve: Curve) -> Figure:
    index = int(np.argmin(curve.loss_change))
    if index == 0:
        return Unresolved("SFT loss does not fall on this path: it is least at the start")
    if index == curve.reward.size - 1:
        return Unresolved("SFT loss falls to the path's end")
    return _stationary(curve, index, 0.0)


def _parity(curve: Curve) -> Figure:
    held = curve.paths.start.held
    per_prompt = held.per_prompt(held.reward)
    if curve.reward[0] >= per_prompt.mean():
        return Unresolved(f"reward stands above the expert's {per_prompt.mean():.3f} from the start")
    if curve.reward[-1] < per_prompt.mean():
        return Unresolved(
            f"this path ends at reward {curve.reward[-1]:.3f}, below the expert's {per_prompt.mean():.3f}"
        )
    return reward_interval(per_prompt, held.reward, is_exact=True)


def _threshold(curve: Curve) -> Figure:
    place = curve.crossing(lambda i: float(curve.loss_change[i]))
    if not (curve.loss_change < 0.0).any():
        return Unresolved("SFT loss is above its start all along this path")
    if place is None:
        return Unresolved("SFT loss stays below its start to the path's end")
    slope = curve.loss_slope(place)
    pseudo = curve.pseudo_values(curve.paths.loss, place)
    influence = _at_level(curve, -pseudo / slope)
    back = influence_interval(place, influence, unit=REWARD, method="where SFT loss is back, over prompts")
    return _in_range(back, curve)
