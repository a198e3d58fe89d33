"""Foresight: the forecasts that a stage's record gives, at any step, from what it held up to there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from interlace.estimate import Estimate, Unresolved
from interlace.forecasting.calibration import PATHS, Composition, along_paths, at_a_price, curves_from
from interlace.forecasting.curve import Curve
from interlace.forecasting.experience import ELSEWHERE, ON_PATHS
from interlace.forecasting.notes import KlTerm, no_path
from interlace.forecasting.running import Looks, RunningForecast, running_forecast
from interlace.forecasting.start import Start, start_of
from interlace.measurement import AVERAGED, RAW, HeldOut, Measurement, PromptScores
from interlace.theory.finite import top_reward
from interlace.theory.paths import PathOptions

PRICE = "linearised_cost_preconditioned"
"""The quantity of D15's price in the optimiser's metric."""
KL = "kl_policy_start_nats_per_response"


NO_KL_TERM = KlTerm()


class Foreseen(NamedTuple):
    """A forecast of `task`'s SFT loss under `weights` (raw or averaged)."""

    task: str
    weights: str
    forecast: RunningForecast


@dataclass
class Foresight:
    """Forecasts the reward of `task`, which RL trains, and the SFT loss of every held-out set in `held`.

    `start_of`: a task's scores at the stage's start; `options`: what the path models need to know of the stage;
    `decay`: of the averaged weights, if they are kept; `exchange_rate`: of the stage's stop rule, if it has one;
    `kl_term`: in the stage's objective.
    Cost: following two path models once (some seconds of CPU), then some milliseconds a forecast; no model is run.
    """

    stage: str
    task: str
    held: Mapping[str, HeldOut]
    start_of: Callable[[str], PromptScores | None]
    max_steps: int
    options: PathOptions
    seed: int
    decay: float | None = None
    exchange_rate: float | None = None
    kl_term: KlTerm = NO_KL_TERM

    def at(self, step: int, measurements: Sequence[Measurement]) -> Iterator[Foreseen]:
        """A forecast for each task and kind of weights, from the stage's `measurements` up to `step`; later ones are
        not looked at. The same measurements give the same forecasts."""
        known = [item for item in measurements if item.point.step <= step]
        for weights in (RAW, AVERAGED):
            for task, looks in all_looks(known, self.task, self.held, weights):
                composition = self.composition(task, weights, known)
                made = self._forecast(task, weights, looks, composition)
                yield Foreseen(task, weights, replace(made, notes=self.notes(task, known)))

    def composition(self, task: str, weights: str, known: Sequence[Measurement]) -> Composition:
        """What the SFT loss of `task` is taken to be made of."""
        if task == self.task and self.curves:
            return along_paths(self.curves, ON_PATHS[weights])
        return at_a_price(self._price(task, known), ELSEWHERE[weights])

    def notes(self, task: str, known: Sequence[Measurement]) -> tuple[str, ...]:
        """What a forecast of the SFT loss of `task` must be read with, in sentences."""
        return tuple(filter(None, (self._lacking(task, known), str(self.kl_term))))

    def _lacking(self, task: str, known: Sequence[Measurement]) -> str:
        """That the path model which leads forecasts is silent on `task`; "" where it speaks."""
        if task != self.task:
            return no_path([f"{task} is not what RL trains"], has_price=bool(self._price(task, known)))
        speaking = [curve.model for curve in self.curves]
        if PATHS[0] in speaking:
            return ""
        has_price = not speaking and bool(self._price(task, known))
        return no_path(self._paths[1], speaking, has_price)

    @property
    def curves(self) -> list[Curve]:
        """The path models that can speak here, followed once."""
        return self._paths[0]

    @cached_property
    def _paths(self) -> tuple[list[Curve], list[str]]:
        if isinstance(self._start, Unresolved):
            return [], [self._start.reason]
        return curves_from(self._start, self.options)

    def _forecast(self, task: str, weights: str, looks: Looks, composition: Composition) -> RunningForecast:
        return running_forecast(
            looks,
            composition,
            self.max_steps,
            self._rng(task, weights, looks),
            top=self.top,
            bottom=self.bottom,
            expert_reward=self._expert_reward,
            exchange_rate=self.exchange_rate,
            decay=self.decay if weights == AVERAGED else None,
        )

    @cached_property
    def _start(self) -> Start | Unresolved:
        scores = self.start_of(self.task)
        return Unresolved("the start was not measured") if scores is None else start_of(self.held[self.task], scores)

    @property
    def _expert_reward(self) -> float:
        """R_D, reward units; NaN on a task without expert responses, or whose rewards are not known."""
        held = self.held[self.task]
        return float(held.per_prompt(held.reward).mean()) if held.prompt.size else math.nan

    @property
    def top(self) -> float:
        """The best mean reward that there is, as far as the start tells."""
        if isinstance(self._start, Start):
            return float(self._start.problem.prompts @ top_reward(self._start.problem))
        known = self.held[self.task].reward
        return float(np.nanmax(known)) if np.isfinite(known).any() else 1.0

    @property
    def bottom(self) -> float:
        """The least mean reward that there is, as far as the start and the expert tell."""
        scores, known = self.start_of(self.task), self.held[self.task].reward
        seen = [] if scores is None or scores.reward_values is None else [float(scores.reward_values.min())]
        return min([*seen, *known[np.isfinite(known)].tolist()], default=-math.inf)

    def _price(self, task: str, known: Sequence[Measurement]) -> float:
        """D15's price at the start, nats/response of `task` per reward unit; 0 where no probe has read it."""
        return _read(known, RAW).get((task, f"{PRICE}/{self.task}"), {}).get(0, 0.0)

    def _rng(self, task: str, weights: str, looks: Looks) -> np.random.Generator:
        words = f"{self.stage}/{task}/{weights}".encode()
        return np.random.default_rng([self.seed, int(looks.steps[-1]), *words])


def all_looks(
    measurements: Sequence[Measurement], reward_task: str, tasks: Iterable[str], weights: str
) -> Iterator[tuple[str, Looks]]:
    """The looks of every task at which both its SFT loss and the reward of `reward_task` were read, if the first is
    that of the start."""
    read = _read(measurements, weights)
    reward, kl = read.get((reward_task, "reward"), {}), read.get((reward_task, KL), {}) | {0: 0.0}
    for task in tasks:
        loss = read.get((task, "sft_loss"), {})
        steps = sorted(reward.keys() & loss.keys())
        if steps and steps[0] == 0:
            columns = (steps, *([each.get(at, math.nan) for at in steps] for each in (reward, loss, kl)))
            yield task, Looks(*(np.array(column, dtype=np.float64) for column in columns))


def _read(measurements: Sequence[Measurement], weights: str) -> dict[tuple[str, str], dict[int, float]]:
    """Every quantity's values by step; what a resume took again counts as it was read last."""
    read: dict[tuple[str, str], dict[int, float]] = {}
    for item in measurements:
        if item.point.weights == weights and isinstance(item.figure, Estimate):
            read.setdefault((item.point.task, item.quantity), {})[item.point.step] = item.figure.value
    return read
