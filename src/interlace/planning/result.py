"""What planning gives: a forecast a task, what reward on each task costs on each other, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from interlace.analysis import SCHEMA_VERSION
from interlace.encoding import encode_float, jsonable
from interlace.errors import unknown_name
from interlace.estimate import Figure, Unresolved
from interlace.forecasting import Bound, CurvePoint, Facts, Forecast, Preflight, SftAfterRl, Stop, best_stop
from interlace.planning.steps import Pace
from interlace.planning.words import sentences
from interlace.theory.paths import PathOptions


@dataclass(frozen=True, slots=True)
class CrossCost:
    """D15: nats of SFT loss on `task` for each unit of reward that RL gains on `reward_on`, to first order.

    The slope at the checkpoint: a stage of finite steps costs more (curvature, and what noise adds).
    """

    reward_on: str
    task: str
    cost: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"reward_on": self.reward_on, "task": self.task, "estimate": self.cost.to_json()}


@dataclass(frozen=True, eq=False)
class Plan:
    """RL from `checkpoint`, forecast before it begins.

    `forecasts`: by task, or why there is none; `costs`: D15 for every pair of tasks, where gradients were taken;
    `exchange_rate`: reward units that a nat of SFT loss is worth, as it was asked for; `paces`: how many optimizer
    steps it takes, by task, where a learning rate was given.
    """

    checkpoint: str
    tasks: tuple[str, ...]
    forecasts: Mapping[str, Preflight | Unresolved]
    costs: tuple[CrossCost, ...]
    exchange_rate: float | None
    options: PathOptions
    paces: Mapping[str, Pace | Unresolved] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """What the plan says, the most useful first."""
        kl = self.options.kl_coefficient
        return sentences(self.checkpoint, self.forecasts, self.costs, self.exchange_rate, self.paces, kl)

    def forecast(self, path_model: str | None = None, task: str | None = None) -> Forecast:
        """One path model's forecast; by default the first that speaks of the first task. Raises KeyError if none
        does."""
        task = self.tasks[0] if task is None else task
        found = self.forecasts[task]
        if isinstance(found, Unresolved):
            raise KeyError(f"no forecast for task {task}: {found.reason}")
        for each in found.forecasts:
            if path_model in (None, each.path_model):
                return each
        if not found.forecasts:
            raise KeyError(f"no forecast for task {task}: no path model speaks here.")
        raise KeyError(unknown_name("path_model", str(path_model), [each.path_model for each in found.forecasts]))

    def stop(self, exchange_rate: float, path_model: str | None = None, task: str | None = None) -> Stop:
        """The reward to stop RL at if a nat of SFT loss is worth `exchange_rate` reward units (A6)."""
        return best_stop(self.forecast(path_model, task).path, exchange_rate)

    def to_json(self) -> dict[str, Any]:
        """The result of ``interlace plan --json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": self.checkpoint,
            "exchange_rate": jsonable(self.exchange_rate),
            "group_size": self.options.group_size,
            "kl_coefficient": jsonable(self.options.kl_coefficient),
            "tasks": [_task_json(name, found) for name, found in self.forecasts.items()],
            "steps": [{"task": task} | pace.to_json() for task, pace in self.paces.items()],
            "linearised": [cost.to_json() for cost in self.costs],
            "sentences": self.sentences(),
        }


def _task_json(name: str, found: Preflight | Unresolved) -> dict[str, Any]:
    if isinstance(found, Unresolved):
        return {"task": name, **found.to_json()}
    return {
        "task": name,
        "start": _figures(found.facts),
        "perfect_expert": found.is_perfect_expert,
        "forecasts": [_forecast_json(forecast) for forecast in found.forecasts],
        "silent": [{"path_model": each.path_model, "reason": each.reason} for each in found.silent],
        **_bounds_json(found.bounds),
    }


def _bounds_json(bounds: tuple[Bound, ...] | Unresolved) -> dict[str, Any]:
    if isinstance(bounds, Unresolved):
        return {"floor": bounds.to_json(), "frontier": bounds.to_json()}
    reward = [encode_float(bound.reward) for bound in bounds]
    return {
        "floor": [{"reward": r, "sft_loss": encode_float(b.floor)} for r, b in zip(reward, bounds, strict=True)],
        "frontier": [{"reward": r, "sft_loss": encode_float(b.front)} for r, b in zip(reward, bounds, strict=True)],
    }


def _forecast_json(forecast: Forecast) -> dict[str, Any]:
    return {
        "path_model": forecast.path_model,
        "curve": [_point_json(point) for point in forecast.curve],
        "least_sft_loss": forecast.landmarks.least_loss.to_json(),
        "parity": forecast.landmarks.parity.to_json(),
        "threshold": forecast.landmarks.threshold.to_json(),
        "optimal": None if forecast.stop is None else stop_json(forecast.stop),
        "sft_after_rl": _figures(forecast.after),
    }


def _point_json(point: CurvePoint) -> dict[str, Any]:
    return {"reward": encode_float(point.reward), "rl_time": encode_float(point.rl_time)} | {
        name: getattr(point, name).to_json() for name in ("sft_loss_change", "right", "wrong", "kl",
        "implied_exchange_rate") }  # fmt: skip


def stop_json(stop: Stop) -> dict[str, Any]:
    """A stop on the wire."""
    return {
        "exchange_rate": encode_float(stop.exchange_rate),
        "reward": stop.reward.to_json(),
        "gain": stop.gain.to_json(),
        "holds_from": encode_float(stop.holds_from),
        "holds_to": encode_float(stop.holds_to),
    }


def _figures(record: Facts | SftAfterRl) -> dict[str, Any]:
    """The fields of a record of figures, in order; a number among them stands by itself."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value.to_json() if hasattr(value, "to_json") else jsonable(value) for name, value in values.items()}
