"""The path of an RL run as its rewards show it: curves of R and V along steps, and what the laws make of them.

`follow` draws the curves; every figure is carried through the same resamples of the prompts, the expert's included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import bootstrap_interval
from interlace.statistics.bootstrap import MINIMUM_PROMPTS, tail_probability
from interlace.statistics.intervals import LEVEL
from interlace.theory.paths import reward_only_sft_change, rl_time_from_rewards

RESAMPLES = 1000
NATS_RESPONSE, REWARD_UNIT, STEPS, PER_REWARD = "nats/response", "reward units", "steps", "per reward unit"
Points: TypeAlias = Float[np.ndarray, "point"]
Drawn: TypeAlias = Float[np.ndarray, "resample point"]
"""A curve at the points, and in each resample."""
Curve: TypeAlias = Float[np.ndarray, "*resample point"]
Expert: TypeAlias = Float[np.ndarray, "*resample"]


@dataclass(frozen=True)
class RewardPath:
    """Curves at the points of a run: as estimated, and in each resample. `expert` is R_D, `experts` resampled; None:
    not known. `refusal`: why there is no curve of V, and so no integral along the path."""

    places: Points
    reward: Points
    rewards: Drawn
    variance: Points
    variances: Drawn
    expert: float | None
    experts: Float[np.ndarray, "resample"] | None
    num_prompts: int
    spans: tuple[int, int]
    refusal: str | None = None

    @property
    def gaps(self) -> tuple[Points, Drawn] | None:
        """R - R_D, as estimated and resampled; None without an expert's reward."""
        if self.expert is None or self.experts is None:
            return None
        return self.reward - self.expert, self.rewards - self.experts[:, None]

    def figure(self, point: float, resampled: Float[np.ndarray, "resample"], unit: str) -> Figure:
        """A figure with its interval from the resamples."""
        return bootstrap_interval(resampled, point, num_prompts=self.num_prompts, unit=unit)

    def level(self, curve: Points, resampled: Drawn, unit: str) -> tuple[Figure, ...]:
        """A figure at every point."""
        return tuple(self.figure(float(curve[i]), resampled[:, i], unit) for i in range(len(self.places)))

    def rl_time(self) -> tuple[Figure, ...]:
        """D5 from rewards alone: the integral of dR/V since the first point, per reward unit, at every point."""
        return self._integrals(lambda reward, variance, _: rl_time_from_rewards(reward, variance), PER_REWARD)

    def sft_change(self) -> tuple[Figure, ...]:
        """C7: the change of SFT loss since the first point that the rewards predict, nats/response, at every point."""
        if self.expert is None:
            return (no_expert(),) * len(self.places)
        return self._integrals(_predicted, NATS_RESPONSE)

    def sft_changes(self) -> tuple[Points, Drawn]:
        """C7 as a curve and in each resample; NaN where V is not resolved above 0."""
        assert self.expert is not None and self.experts is not None
        good = self.good()
        point = _predicted(self.reward, self.variance, np.array(self.expert))
        resampled = _predicted(self.rewards, self.variances, self.experts)
        point[good:], resampled[:, good:] = np.nan, np.nan
        return point, resampled

    def good(self) -> int:
        """Points, from the first on, at which V is above 0 in every resample."""
        if self.refusal is not None:
            return 0
        bad = (self.variance <= 0.0) | (self.variances <= 0.0).any(axis=0)
        return int(np.argmax(bad)) if bad.any() else len(self.places)

    def _integrals(self, integral: Callable[[Curve, Curve, Expert], Curve], unit: str) -> tuple[Figure, ...]:
        refusal = self._no_integral()
        if refusal is not None:
            return (refusal,) * len(self.places)
        good = self.good()
        expert = np.array(np.nan if self.expert is None else self.expert)
        experts = np.full(len(self.rewards), np.nan) if self.experts is None else self.experts
        reward, variance = self.reward[:good], self.variance[:good]
        point = integral(reward, variance, expert)
        resampled = integral(self.rewards[:, :good], self.variances[:, :good], experts)
        errors = _trapezoid_errors(lambda which: integral(reward[which], variance[which], expert), good)
        figures = [_wider(self.figure(float(point[i]), resampled[:, i], unit), errors[i]) for i in range(good)]
        if good == len(self.places):
            return tuple(figures)
        since = f"{self.places[good]:,.0f}"
        beyond = Unresolved(f"the variance within prompts is not resolved above 0 from step {since} on")
        return (*figures, *[beyond] * (len(self.places) - good))

    def _no_integral(self) -> Unresolved | None:
        if self.refusal is not None:
            return Unresolved(self.refusal)
        if len(self.places) < 2:
            return Unresolved(f"the rollouts of one step only, or too few: a path needs two with {MINIMUM_PROMPTS} "
                              "prompts each")  # fmt: skip
        return None

    def implied_exchange_rates(self) -> tuple[Figure, ...]:
        """A6: V/(R - R_D), the reward that the next nat of SFT loss buys, at every point."""
        gaps = self.gaps
        if gaps is None or self.refusal is not None:
            reason = no_expert() if gaps is None else Unresolved(str(self.refusal))
            return (reason,) * len(self.places)
        gap, resampled = gaps
        return tuple(
            self._ratio(float(self.variance[i]), self.variances[:, i], float(gap[i]), resampled[:, i])
            for i in range(len(self.places))
        )

    def _ratio(
        self, variance: float, variances: Float[np.ndarray, "resample"], gap: float, gaps: Float[np.ndarray, "resample"]
    ) -> Figure:
        if gap <= 0.0:
            return Unresolved("where reward is not above the expert\u2019s, RL still lowers SFT loss on the path (A4)")
        if self.num_prompts < MINIMUM_PROMPTS:
            return self.figure(gap, gaps, REWARD_UNIT)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.where(gaps > 0.0, np.maximum(variances, 0.0) / gaps, np.inf)
        return percentile_ends(max(variance, 0.0) / gap, rates, self.num_prompts, "reward units per nat")

    def steps_with(self, is_so: Points, resampled: Drawn, otherwise: str) -> Figure:
        """The step until which a curve is positive: steps at which it is, from the first point on.

        Where the curve crosses 0 once, the crossing; where noise lets it cross to and fro, what lies between. The upper
        end is inf where it may not be crossed yet. Unresolved, with the reason `otherwise`, where the estimate is not.
        """
        point = float(self.places[0] + _time_above(self.places, is_so))
        if point >= self.places[-1]:
            return Unresolved(otherwise)
        if self.num_prompts < MINIMUM_PROMPTS:
            return self.figure(point, np.full(len(resampled), point), STEPS)
        ends = self.places[0] + _time_above(self.places, resampled)
        return percentile_ends(point, np.where(ends >= self.places[-1], np.inf, ends), self.num_prompts, STEPS)


def percentile_ends(point: float, resampled: Float[np.ndarray, "resample"], num_prompts: int, unit: str) -> Estimate:
    """Percentiles that may be infinite."""
    tail = tail_probability(num_prompts, num_prompts - 1, LEVEL)
    in_order = np.sort(resampled)
    low, high = in_order[int(tail * len(in_order))], in_order[int(np.ceil((1.0 - tail) * len(in_order))) - 1]
    method = f"percentile bootstrap over prompts, {len(in_order)} resamples"
    return Estimate(point, min(float(low), point), max(float(high), point), LEVEL, num_prompts, method, unit)


def finite_interval(
    point: float, resampled: Float[np.ndarray, "resample"], num_prompts: int, unit: str, otherwise: Unresolved
) -> Figure:
    """`point` with its interval; `otherwise` where that has an infinite end, or is not known (NaN)."""
    if np.isfinite(point) and np.isfinite(resampled).all():
        return bootstrap_interval(resampled, point, num_prompts=num_prompts, unit=unit)
    if not np.isfinite(point) or np.isnan(resampled).any() or num_prompts < MINIMUM_PROMPTS:
        return otherwise
    found = percentile_ends(point, resampled, num_prompts, unit)
    return found if np.isfinite([found.lower, found.upper]).all() else otherwise


def no_expert() -> Unresolved:
    """What needs R_D, without it."""
    return Unresolved("the expert\u2019s reward is not known: say --expert-reward or --expert-scores")


def _predicted(reward: Curve, variance: Curve, expert: Expert) -> Curve:
    return reward_only_sft_change(reward, variance, expert)


def _trapezoid_errors(integral: Callable[[np.ndarray], Curve], count: int) -> Float[np.ndarray, "point"]:
    """About how far the trapezoid is from the integral up to each point: a third of what every second point changes."""
    halved = np.arange(0, count, 2)
    if len(halved) < 2:
        return np.zeros(count)
    difference = np.abs(integral(np.arange(count))[halved] - integral(halved)) / 3.0
    difference[0] = difference[1] / 2.0
    return np.append(0.0, np.repeat(difference, 2)[1:count])


def _wider(figure: Figure, error: float) -> Figure:
    if isinstance(figure, Unresolved) or error == 0.0:
        return figure
    return Estimate(figure.value, figure.lower - error, figure.upper + error, figure.level, figure.n,
                    f"{figure.method}, wider by the trapezoid\u2019s error", figure.unit)  # fmt: skip


def _time_above(places: Float[np.ndarray, "point"], curve: Curve) -> Expert:
    """How long the straight lines between the points are above 0."""
    before, after = curve[..., :-1], curve[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(before > 0.0, before, after) / np.abs(after - before)
    both, none = (before > 0.0) & (after > 0.0), (before <= 0.0) & (after <= 0.0)
    return np.asarray((np.where(both, 1.0, np.where(none, 0.0, share)) * np.diff(places)).sum(axis=-1))
