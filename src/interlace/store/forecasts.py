"""The forecasts that a stage made of itself, as its record keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from interlace.forecasting import RunningForecast
from interlace.store.events import decoded

FORECAST = "forecast"
"""The kind of their events."""


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """A forecast of `task`'s SFT loss under `weights` (raw or averaged); its reward is that of `reward_task`."""

    task: str
    weights: str
    reward_task: str
    forecast: RunningForecast


def forecasts_of(events: Iterable[dict[str, Any]]) -> tuple[ForecastRecord, ...]:
    """Those of a stage, in order of the step they were made at; of one made again by a resume, the first counts."""
    found: dict[tuple[str, str, int], ForecastRecord] = {}
    for event in events:
        record = decoded(event, _record)
        found.setdefault((record.task, record.weights, record.forecast.made_at), record)
    return tuple(sorted(found.values(), key=lambda record: record.forecast.made_at))


def _record(event: dict[str, Any]) -> ForecastRecord:
    made = RunningForecast.from_json(event["forecast"])
    return ForecastRecord(event["task"], event["weights"], event["reward_task"], made)
