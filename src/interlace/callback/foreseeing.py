"""Foreseeing: the forecasts that a run makes of its own RL stage, each kept at the step it was made at.

What they are made of stands in the record up to that step, so a resumed stage makes the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from interlace.errors import DataError
from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import SHARES, Curve, Looks, Start, followed_path, running_forecast, start_of
from interlace.forecasting.calibration import PATHS, Composition, along_paths, at_a_price
from interlace.measurement import AVERAGED, RAW, HeldOut, Measurement, PromptScores
from interlace.store import RunStore
from interlace.store.events import last_event, read_events
from interlace.store.forecasts import FORECAST
from interlace.store.run_store import EVENTS
from interlace.theory.finite import top_reward
from interlace.theory.paths import PathOptions

PRICE = "linearised_cost_preconditioned"
"""The quantity of D15's price in the optimiser's metric."""


@dataclass
class Foreseeing:
    """Forecasts the reward of `task`, which RL trains, and the SFT loss of every held-out set in `held`.

    `start_of`: a task's scores at the stage's start; `options`: what the path models need to know of the stage;
    `decay`: of the averaged weights, if they are kept; `exchange_rate`: of the stage's stop rule, if it has one;
    `already`: steps that an earlier process did, whose forecasts are kept. What raw weights will cost on `task` is
    said. Cost: following two path models once (some seconds of CPU), then some milliseconds a forecast; no model is
    run.
    """

    store: RunStore
    stage: str
    task: str
    held: Mapping[str, HeldOut]
    start_of: Callable[[str], PromptScores | None]
    max_steps: int
    options: PathOptions
    seed: int
    say: Callable[[str], None]
    decay: float | None = None
    exchange_rate: float | None = None
    already: int = -1
    _next: int = field(init=False)

    def __post_init__(self) -> None:
        kept = last_event(self.store.folder / EVENTS, FORECAST, self.stage, self.already)
        self._next = self._due(kept["step"]) if kept else 0

    def see(self, step: int) -> None:
        """After a look at `step`: forecast, if it is time."""
        due = self._due(step)
        if due == self._next or step >= self.max_steps:
            return
        self._next = due
        for weights in (RAW, AVERAGED):
            for task, looks in self._looks(step, weights):
                self._forecast(task, weights, looks)

    def _due(self, step: int) -> int:
        """How many of the `SHARES` have come by `step`."""
        return sum(step >= share * self.max_steps for share in SHARES)

    def _forecast(self, task: str, weights: str, looks: Looks) -> None:
        found = running_forecast(
            looks,
            self._composition(task, weights),
            self.max_steps,
            self._rng(task, weights, looks),
            top=self._top(),
            bottom=self._bottom(),
            expert_reward=self._expert_reward,
            exchange_rate=self.exchange_rate,
            decay=self.decay if weights == AVERAGED else None,
        )
        place = {"step": found.made_at, "task": task, "weights": weights, "reward_task": self.task}
        self.store.event(FORECAST, stage=self.stage, **place, forecast=found.to_json())
        if (task, weights) == (self.task, RAW) and isinstance(found.sft_loss, Estimate):
            self.say(
                f"{self.stage}: forecast after step {found.made_at:,} for step {found.for_step:,}: SFT loss "
                f"{found.sft_loss}, reward {found.reward}"
            )

    def _composition(self, task: str, weights: str) -> Composition:
        if task == self.task and self._curves:
            return along_paths(self._curves, weights)
        return at_a_price(self._price(task), weights)

    @cached_property
    def _curves(self) -> list[Curve]:
        """The path models that can speak here, followed once."""
        return list(_followed(self._start, self.options)) if isinstance(self._start, Start) else []

    @cached_property
    def _start(self) -> Start | Unresolved:
        scores = self.start_of(self.task)
        return Unresolved("the start was not measured") if scores is None else start_of(self.held[self.task], scores)

    @property
    def _expert_reward(self) -> float:
        """R_D, reward units; NaN on a task without expert responses, or whose rewards are not known."""
        held = self.held[self.task]
        return float(held.per_prompt(held.reward).mean()) if held.prompt.size else math.nan

    def _top(self) -> float:
        """The best mean reward that there is, as far as the start tells."""
        if isinstance(self._start, Start):
            return float(self._start.problem.prompts @ top_reward(self._start.problem))
        known = self.held[self.task].reward
        return float(np.nanmax(known)) if np.isfinite(known).any() else 1.0

    def _bottom(self) -> float:
        """The least mean reward that there is, as far as the start and the expert tell."""
        scores, known = self.start_of(self.task), self.held[self.task].reward
        seen = [] if scores is None or scores.reward_values is None else [float(scores.reward_values.min())]
        return min([*seen, *known[np.isfinite(known)].tolist()], default=-math.inf)

    def _price(self, task: str) -> float:
        """D15's price at the start, nats/response of `task` per reward unit; 0 where no probe has read it."""
        read = self._measured(0, RAW).get((task, f"{PRICE}/{self.task}"), {})
        return read.get(0, 0.0)

    def _looks(self, step: int, weights: str) -> Iterator[tuple[str, Looks]]:
        """The looks of every task at which both its SFT loss and the reward were read."""
        read = self._measured(step, weights)
        reward = read.get((self.task, "reward"), {})
        for task in self.held:
            loss = read.get((task, "sft_loss"), {})
            steps = sorted(reward.keys() & loss.keys())
            if steps and steps[0] == 0:
                yield task, Looks(*(np.array(each, float) for each in (
                    steps, [reward[at] for at in steps], [loss[at] for at in steps])))  # fmt: skip

    def _measured(self, step: int, weights: str) -> dict[tuple[str, str], dict[int, float]]:
        """Every quantity's values by step, up to `step`; what a resume took again counts as it was read last."""
        read: dict[tuple[str, str], dict[int, float]] = {}
        for event in read_events(self.store.folder / EVENTS):
            if event["kind"] == "measurement" and event["stage"] == self.stage:
                item = Measurement.from_json(event)
                if item.point.weights == weights and item.point.step <= step and isinstance(item.figure, Estimate):
                    read.setdefault((item.point.task, item.quantity), {})[item.point.step] = item.figure.value
        return read

    def _rng(self, task: str, weights: str, looks: Looks) -> np.random.Generator:
        words = f"{self.stage}/{task}/{weights}".encode()
        return np.random.default_rng([self.seed, int(looks.steps[-1]), *words])


def _followed(start: Start, options: PathOptions) -> Iterator[Curve]:
    for model in PATHS:
        try:
            yield followed_path(start, model, options)
        except DataError:  # it cannot serve these rewards, or leads nowhere
            continue
