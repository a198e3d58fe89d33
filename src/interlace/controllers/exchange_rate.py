"""Stop where the next bit of reward is no longer worth the SFT loss that it costs (A6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import stats

from interlace.analysis.trajectory import REWARD
from interlace.controllers.base import Decision, RuleOptions, Sighting, State, look_level
from interlace.controllers.crossing import Crossing
from interlace.controllers.objectives import gain, lacks, path_slope, unknown_expert_reward
from interlace.errors import DataError
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.forecasting import Curve, best_stop, prompt_paths, start_of
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics import influence_interval
from interlace.theory.paths import PathOptions
from interlace.wording import number

PATH = "natural"
"""The path model on which A6's slope is exact, so that local and global optimum are of one path."""
TREND = 6
"""Looks along whose line R - lambda L must be resolved to fall; looks scatter about it as raw weights swing."""


class ExchangeRateOptions(RuleOptions):
    """Of the rule `exchange_rate`."""

    exchange_rate: float = Field(gt=0.0, allow_inf_nan=False)
    """lambda: reward units that one nat/response of SFT loss is worth."""
    local: bool = False
    """Stop at the first optimum, without asking the forecast from the stage's start whether a better one comes."""


@dataclass(frozen=True)
class ExchangeRate(Crossing):
    """V - lambda (R - R_D), the slope of R - lambda L along the RL path, is resolved below 0: it falls from here on. Or
    R - lambda L itself, as measured, has fallen along the last `TREND` looks: a run may leave the path, and then costs
    more than A6 knows. Each of the two takes half of the error.

    Either is a LOCAL stop: the slope may turn again. Unless `local`, the path is forecast from the stage's start, and
    where its best stop (A6's global optimum) lies at a higher reward and gains a resolved amount over this one, the
    stage goes on. Where nothing can be forecast the stop is local and says so; and where the path still rises while
    the run falls, the path is not asked about later either. A rewind goes to the look where R - lambda L was greatest.
    """

    name: ClassVar[str] = "exchange_rate"
    sentence: ClassVar[str] = (
        "stop once the RL path, or the run itself, is resolved to cost more SFT loss than its reward is worth at an "
        "exchange rate, unless the forecast from the stage's start says that a better stop comes later"
    )
    source: ClassVar[str] = "A6"
    cost: ClassVar[str] = "none beyond SFT loss and reward"
    quantity: ClassVar[str] = "lambda (R - R_D) less the reward's variance within prompts"
    needs: ClassVar[tuple[str, ...]] = ("sft_loss", "reward")
    of_rl: ClassVar[bool] = True
    takes: ClassVar[type[RuleOptions]] = ExchangeRateOptions

    options: ExchangeRateOptions

    def refuses(self, held: HeldOut) -> str | None:
        """A task whose expert earns nothing that is known."""
        return unknown_expert_reward(held)

    @property
    def level(self) -> float:
        """The two-sided level of each look's two intervals."""
        return look_level(2 * self.looks)

    def update(self, state: State, sighting: Sighting) -> tuple[State, Decision]:
        """The path's slope as every crossing, then the course that was measured."""
        after, decision = super().update(state, sighting)
        after = self._followed(replace(after, candidate=state.candidate), sighting)
        if not decision.stop:
            decision = self._of_the_course(after, sighting, decision)
        back = after.candidate if decision.stop and self.options.rewind else None
        return after, replace(decision, keep=after.candidate == sighting.step, rewind_to=back)

    def _of_the_course(self, state: State, sighting: Sighting, of_the_path: Decision) -> Decision:
        """A stop if the course is resolved to fall and the forecast does not object; else what the path said."""
        trend = trend_of(state.course, self.level)
        if isinstance(trend, Unresolved) or trend.upper >= 0.0 or sighting.step not in state.looks:
            return of_the_path
        path_rises = not isinstance(of_the_path.figure, Estimate) or of_the_path.figure.value <= 0.0
        stands, remark = (True, LEFT) if path_rises else self.stands(sighting)
        reason = (
            f"R - lambda L on {sighting.held.task} has fallen along the last {TREND} looks, by {figure_text(trend)}, "
            f"at lambda {number(self.options.exchange_rate)}. Its interval is at {self.level:.1%}: 5 % error over all "
            f"looks. {remark}"
        )
        return Decision(stands, trend, reason if stands else remark, quantity=COURSE)

    def _followed(self, state: State, sighting: Sighting) -> State:
        """The state with this look's gain in its course, and with the look as its candidate if it is the best."""
        if lacks(sighting.trajectory) is not None:
            return state
        gained = float(gain(sighting.start, sighting.now, self.options.exchange_rate).mean())
        earlier = [look for look in state.course if look[0] < sighting.step]
        state = replace(state, course=(*earlier, (sighting.step, gained))[-TREND:])
        return replace(state, candidate=sighting.step, best=gained) if gained > state.best else state

    def excess(self, sighting: Sighting, level: float) -> Figure:
        """lambda (R - R_D) - V, reward units^2."""
        missing = sighting.trajectory.gap(REWARD)
        if missing is not None:
            return Unresolved(missing)
        slope = path_slope(sighting.now, sighting.trajectory.expert_reward, self.options.exchange_rate, level=level)
        if isinstance(slope, Unresolved):
            return slope
        return Estimate(-slope.value, -slope.upper, -slope.lower, slope.level, slope.n, slope.method, slope.unit)

    def reason(self, sighting: Sighting, excess: Estimate) -> str:
        """The slope."""
        return (
            f"lambda (R - R_D) on {sighting.held.task} exceeds the reward's variance within prompts by "
            f"{figure_text(excess)} at lambda {number(self.options.exchange_rate)}: along the RL path R - lambda L "
            "falls from here on (A6)"
        )

    def stands(self, sighting: Sighting) -> tuple[bool, str]:
        """Whether the forecast has nothing better later; the stop is local in any case."""
        if self.options.local:
            return True, "This is a local stop: whether a better one comes later was not asked"
        rate = self.options.exchange_rate
        later = gain_later(sighting.held, sighting.start_scores, float(sighting.now.reward.mean()), rate)
        if isinstance(later, Unresolved):
            return True, f"This is a local stop, held against no forecast: {later.reason}"
        if later.gain.lower <= 0.0:
            return True, "This is a local stop; the forecast from the stage's start has no better one later"
        return False, (
            f"step {sighting.step}: R - lambda L is at a local optimum on {sighting.held.task}, but the forecast from "
            f"the stage's start gains another {figure_text(later.gain)} by reward {number(later.reward)} (A6): going "
            "on. Set local: true to stop at the first"
        )


COURSE = f"slope of R - lambda L along the last {TREND} looks"
LEFT = "The RL path would still rise here (A6): the run has left it, so the path is not asked about later"


def trend_of(course: Sequence[tuple[int, float]], level: float) -> Figure:
    """Slope of the line through the latest looks, reward units a step, with Student t over their scatter about it."""
    if len(course) < TREND:
        return Unresolved(f"a trend needs {TREND} looks")
    steps, gains = np.array(course).T
    line = stats.linregress(steps, gains)
    half = float(stats.t.ppf(0.5 + level / 2.0, TREND - 2) * line.stderr)
    ends = line.slope - half, line.slope + half
    return Estimate(line.slope, *ends, level, TREND, "line through looks, Student t", "reward units/step")


@dataclass(frozen=True, slots=True)
class Later:
    """The forecast's best stop from here on: its reward, and what it adds to R - lambda L of here (reward units)."""

    reward: float
    gain: Estimate


def gain_later(held: HeldOut, start: PromptScores, reward: float, exchange_rate: float) -> Later | Unresolved:
    """What the RL path forecast from the stage's start still gains beyond `reward`; Unresolved where it cannot say."""
    begun = start_of(held, start)
    if isinstance(begun, Unresolved):
        return begun
    try:
        curve = Curve(prompt_paths(begun, PATH, PathOptions()))
    except DataError as error:
        return Unresolved(str(error))
    best = best_stop(curve, exchange_rate).reward
    if isinstance(best, Unresolved):
        return best
    here = float(np.clip(reward, curve.reward[0], curve.reward[-1]))
    there = max(here, best.value)
    loss = curve.paths.loss
    gains = exchange_rate * (curve.pseudo_values(loss, here) - curve.pseudo_values(loss, there)) + (there - here)
    gain = influence_interval(float(gains.mean()), gains, unit="reward units", method="path model, over prompts")
    return gain if isinstance(gain, Unresolved) else Later(there, gain)
