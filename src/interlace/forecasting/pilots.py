"""How many optimizer steps reward takes, told by pilots: a stage's own first steps, taken several times from its start.

What a pilot replaces is the first-order gain of an Adam step, learning rate x <grad R, E[m / sqrt(v)]>. Tried on runs
of `benchmarks/forecast_table.py`, at a learning rate of 1e-4 it is 1.2 to 1.5 times the first step's gain on three
tasks (on the fourth that step loses reward), 2 to 8 times what comes after 5 to 10 steps, 8 to 21 times after 60. At
1e-3 the first step loses reward on all four: curvature and noise take back more than the gradient gives.

Four pilots of 20 steps, scored on three starts that had no part in the choice of the courses (three learning rates
each): the reward of the run after 20, 40 and 60 steps lay in its interval 27 times of 27. After 60 the middle was off
by 0.002 to 0.038 reward units at 1e-4 and 3e-4, where runs gained 0.01 to 0.23, and 0.02 to 0.15 at 1e-3: where reward
falls first, the interval alone is worth reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from interlace.estimate import OTHER_SEEDS, Estimate, Figure, Unresolved
from interlace.forecasting.curve import REWARD
from interlace.statistics import influence_interval

FIRST = 5
"""The step from which a pilot's course is followed: Adam's first steps are as long as its steps can be, overshoot, and
are half undone by the next."""
POWERS = (0.1, 0.4, 0.7, 1.0)
"""Of the steps, in which what is left to gain may fall: 1 is a constant share a step, 0.1 nearly a logarithm. With 1
alone the forecast at a pilot's double and threefold length came out too high where the first gains were quick."""
LEAST_STEPS = 8
"""Steps of a pilot from which a course can be told."""
HORIZON = 3
"""Times a pilot's length up to which steps are told: as far as they were held against runs."""
LEVEL, DRAWS = 0.95, 4000
NEAR_TOP = 1e-3
"""Share of all there is to gain that a reading leaves at least: the course is one of logarithms."""
STEPS, RATE, RL_TIME = "optimizer steps", "reward units/step", "per reward unit"


class Course(NamedTuple):
    """log(top - R) as a line in the `power`-th power of steps: its value at the step `last` and its slope, means over
    pilots, the covariance of both means, and by how much a single run scatters about the line."""

    power: float
    last: float
    mean: Float[np.ndarray, "2"]
    covariance: Float[np.ndarray, "2 2"]
    scatter: float
    degrees: int

    def log_left_at(self, step: float, rng: np.random.Generator) -> Float[np.ndarray, "draw"]:
        """Draws of log(top - R) of a run at `step`."""
        level, slope = self._drawn(rng)
        return level + slope * (step**self.power - self.last**self.power)

    def steps_to(self, log_left: float, rng: np.random.Generator) -> Float[np.ndarray, "draw"]:
        """Draws of the step at which a run's log(top - R) is `log_left`; infinite where it never is."""
        level, slope = self._drawn(rng)
        missing = log_left - level
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.where(slope < 0.0, missing / slope, np.where(missing < 0.0, np.inf, 0.0))
        return np.maximum(1.0, self.last**self.power + ahead) ** (1.0 / self.power)

    def _drawn(self, rng: np.random.Generator) -> tuple[Float[np.ndarray, "draw"], Float[np.ndarray, "draw"]]:
        """Last value, with a run's own scatter, and slope: multivariate Student t about the means."""
        normal = rng.multivariate_normal(np.zeros(2), self.covariance, size=DRAWS, method="svd")
        lines = self.mean + normal / np.sqrt(rng.chisquare(self.degrees, size=(DRAWS, 1)) / self.degrees)
        return lines[:, 0] + self.scatter * rng.standard_t(self.degrees, size=DRAWS), lines[:, 1]


@dataclass(frozen=True, eq=False)
class Pilots:
    """Mean reward over the held-out prompts of each pilot after the optimizer steps `steps`, reward units.

    `start`: before the first step; `top`, `bottom`: the best and the least mean reward there is. From step `FIRST` on
    the logarithm of what is left to gain, top - R, is taken to fall along a line in some power of the steps (`POWERS`,
    equally likely), the same in all runs; a run scatters about that as the pilots do.
    """

    start: float
    bottom: float
    top: float
    steps: Float[np.ndarray, "look"]
    rewards: Float[np.ndarray, "pilot look"]

    @property
    def count(self) -> int:
        """How many pilots there are."""
        return len(self.rewards)

    @property
    def length(self) -> float:
        """Optimizer steps of a pilot."""
        return float(self.steps[-1])

    @cached_property
    def courses(self) -> tuple[Course, ...]:
        """One for each of `POWERS`. Needs two pilots, and two looks from step `FIRST` on."""
        return tuple(self._course(power) for power in POWERS)

    @cached_property
    def _from_here_on(self) -> Float[np.ndarray, "pilot look"]:
        """Mean reward of each pilot from a look to its last."""
        remaining = np.arange(self.rewards.shape[1], 0, -1)
        return np.cumsum(self.rewards[:, ::-1], axis=1)[:, ::-1] / remaining

    def gain(self, look: int) -> Figure:
        """Reward gained by a look, over pilots: 0 is that after the first step, -1 the last; reward units."""
        return self._over_pilots(self.rewards[:, look] - self.start, REWARD)

    def rl_time(self, variance: float) -> Figure:
        """RL time of the first step, dR / V (D5); `variance`: V within prompts at the start, above 0."""
        return self._over_pilots((self.rewards[:, 0] - self.start) / variance, RL_TIME)

    def last_rate(self) -> Figure:
        """Reward gained a step along the course at its end, a straight line through the looks of its second half."""
        half = self.steps >= max(FIRST, self.length / 2.0)
        return self._over_pilots(np.polyfit(self.steps[half], self.rewards[:, half].T, 1)[0], RATE)

    def reward_at(self, step: float, rng: np.random.Generator) -> Figure:
        """Reward of a look at `step`, from the pilots' last step on; Unresolved beyond `HORIZON` times that."""
        if not self.length <= step <= HORIZON * self.length:
            return Unresolved(f"pilots of {self.length:.0f} steps tell steps up to {HORIZON * self.length:.0f}")
        if not self.start < self.top:
            return Unresolved("there is nothing to gain: reward is at its best from the start")
        left = np.exp([course.log_left_at(step, rng) for course in self.courses])
        return self._middle(np.maximum(self.bottom, self.top - left), REWARD)

    def steps_to(self, reward: float, rng: np.random.Generator) -> Figure:
        """Optimizer steps until a run's reward is first `reward` and not less from there on in the mean: seen where all
        pilots came to it, else along their course. The upper end is infinite where the course may miss it or take
        longer than `HORIZON` pilots."""
        if reward <= self.start:
            return Unresolved(f"reward is above {reward:.3f} from the start")
        if reward >= self.top:
            return Unresolved(f"reward {reward:.3f} is the best there is, which no finite number of steps comes to")
        passed = (self.rewards >= reward) & (self._from_here_on >= reward)
        if passed.any(axis=1).all():
            return self._seen(passed.argmax(axis=1))
        return self._ahead(reward, rng)

    def _seen(self, looks: Int[np.ndarray, "pilot"]) -> Figure:
        """The next run's step, given the pilots' looks; no finer than these are apart."""
        steps, apart = self.steps[looks], np.diff(self.steps, prepend=0.0)[looks]
        quantile = float(special.stdtrit(self.count - 1, 0.5 + LEVEL / 2))
        half = quantile * float(steps.std(ddof=1)) * np.sqrt(1.0 + 1.0 / self.count)
        half = max(half, float(apart.max()) / 2.0)
        value = float(steps.mean())
        method = "first look at which each pilot was there, Student t for one more"
        return Estimate(value, max(1.0, value - half), value + half, LEVEL, self.count, method, STEPS, OTHER_SEEDS)

    def _ahead(self, reward: float, rng: np.random.Generator) -> Figure:
        furthest = HORIZON * self.length
        steps = np.array([course.steps_to(np.log(self.top - reward), rng) for course in self.courses])
        steps = np.where(steps > furthest, np.inf, steps)
        found = self._middle(steps, STEPS)
        if np.isfinite(found.value):
            return found
        share = float(np.isfinite(steps).mean())
        within = f"within {furthest:.0f} steps, {HORIZON} times a pilot's length"
        return Unresolved(f"a run comes there {within}, with a chance of {share:.0%}: take longer pilots")

    def _course(self, power: float) -> Course:
        """Least squares, pilot by pilot."""
        followed = self.steps >= FIRST
        since = self.steps[followed] ** power - self.length**power
        left = np.log(np.maximum(self.top - self.rewards[:, followed], NEAR_TOP * (self.top - self.start)))
        lines = np.polyfit(since, left.T, 1)[::-1].T
        mean, degrees = lines.mean(axis=0), self.count - 1
        rest = left - mean[0] - mean[1] * since
        scatter = float(np.sqrt((rest**2).mean() * self.count / degrees))
        return Course(power, self.length, mean, np.cov(lines.T) / self.count, scatter, degrees)

    def _middle(self, draws: Float[np.ndarray, "course draw"], unit: str) -> Estimate:
        low, middle, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], method="inverted_cdf").tolist()
        method = f"courses of {self.count} pilots from step {FIRST} on, Student t over pilots"
        return Estimate(middle, low, high, LEVEL, self.count, method, unit, OTHER_SEEDS)

    def _over_pilots(self, values: Float[np.ndarray, "pilot"], unit: str) -> Figure:
        value = float(values.mean())
        return influence_interval(
            value, values - value, unit=unit, method="Student t over pilots", level=LEVEL, scope=OTHER_SEEDS,
            units="pilots",
        )  # fmt: skip
