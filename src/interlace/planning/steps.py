"""A plan in optimizer steps: what pilots say of every reward that the plan names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from interlace.encoding import jsonable
from interlace.errors import RecipeError
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting import Pilots, Preflight
from interlace.forecasting.pilots import HORIZON, LEAST_STEPS

PILOTS = 4
"""Pilots of a plan: between them they tell a run's scatter."""
PARITY, LEAST_LOSS, STOP = "parity", "least SFT loss", "best stop"


@dataclass(frozen=True, slots=True)
class PilotStage:
    """The RL stage that pilots begin, under TRL's names but for `batch`, completions a step
    (per_device_train_batch_size), and `steps`, of one pilot."""

    learning_rate: float
    batch: int
    group_size: int = 8
    kl_coefficient: float = 0.0
    steps: int = 20
    pilots: int = PILOTS

    def check(self) -> None:
        """Raises RecipeError, before anything is loaded, for what cannot be meant."""
        if not 0.0 < self.learning_rate < 1.0:
            raise RecipeError(
                f"--learning-rate must lie between 0 and 1. Got {self.learning_rate}. Say --learning-rate 3e-4."
            )
        if self.batch < self.group_size or self.batch % self.group_size:
            raise RecipeError(
                f"--batch must be a multiple of the {self.group_size} completions of a group. Got {self.batch}. "
                f"Say --batch {self.group_size * max(1, round(self.batch / self.group_size))}."
            )
        if self.steps < LEAST_STEPS:
            raise RecipeError(f"--pilot-steps must be at least {LEAST_STEPS}. Got {self.steps}. Give more.")

    def refusal(self, num_prompts: int) -> Unresolved | None:
        """Why a task with so many training prompts cannot fill a step, if so."""
        needed = self.batch // self.group_size
        if num_prompts >= needed:
            return None
        return Unresolved(
            f"a step asks {needed} prompts, and there are {num_prompts} to train on: give a smaller batch"
        )


@dataclass(frozen=True, slots=True)
class StepsTo:
    """Optimizer steps to a reward that the plan names: parity (`path_model` None: the same for all), the least SFT loss
    or the best stop of a path model. The interval is that of the steps to `reward`'s value; its own stands with it."""

    landmark: str
    path_model: str | None
    reward: Figure
    steps: Figure


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast RL gains reward from the checkpoint, by pilots of `stage`.

    `first_gain`: reward gained by the first step, `rl_time` the RL time of it (dR / V, D5); `gain`: by all steps of a
    pilot; `last_rate`: reward gained a step at a pilot's end; `ahead`: a run's reward at some steps from there on;
    `landmarks`: the steps to every reward that the plan names.
    """

    stage: PilotStage
    first_gain: Figure
    rl_time: Figure
    gain: Figure
    last_rate: Figure
    ahead: tuple[tuple[int, Figure], ...]
    landmarks: tuple[StepsTo, ...]

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        figures = {name: getattr(self, name).to_json() for name in ("first_gain", "rl_time", "gain", "last_rate")}
        return {
            "pilots": {field.name: jsonable(getattr(self.stage, field.name)) for field in fields(self.stage)},
            **figures,
            "ahead": [{"step": step, "reward": reward.to_json()} for step, reward in self.ahead],
            "steps_to": [
                {"landmark": each.landmark, "path_model": each.path_model, "reward": each.reward.to_json(),
                 "steps": each.steps.to_json()}
                for each in self.landmarks
            ],
        }  # fmt: skip


def pace_of(pilots: Pilots, found: Preflight, stage: PilotStage, seed: int) -> Pace:
    """The pace that `pilots` show, and the steps to the landmarks of the forecast `found`."""
    rng = np.random.default_rng(seed)
    variance = found.facts.reward_variance
    spread = variance.value if isinstance(variance, Estimate) else 0.0
    return Pace(
        stage=stage,
        first_gain=pilots.gain(0),
        rl_time=pilots.rl_time(spread) if spread > 0.0 else Unresolved("the start's reward does not vary"),
        gain=pilots.gain(-1),
        last_rate=pilots.last_rate(),
        ahead=tuple((step, pilots.reward_at(step, rng)) for step in _ahead(stage.steps)),
        landmarks=tuple(_steps_to(pilots, rng, *named) for named in _named(found)),
    )


def _ahead(steps: int) -> Iterator[int]:
    yield from (steps * times for times in range(1, HORIZON + 1))


def _named(found: Preflight) -> Iterator[tuple[str, str | None, Figure]]:
    yield PARITY, None, found.facts.expert_reward
    for forecast in found.forecasts:
        yield LEAST_LOSS, forecast.path_model, forecast.landmarks.least_loss
        if forecast.stop is not None:
            yield STOP, forecast.path_model, forecast.stop.reward


def _steps_to(
    pilots: Pilots, rng: np.random.Generator, landmark: str, path_model: str | None, reward: Figure
) -> StepsTo:
    steps = reward if isinstance(reward, Unresolved) else pilots.steps_to(reward.value, rng)
    return StepsTo(landmark, path_model, reward, steps)
