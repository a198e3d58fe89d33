"""Foreseeing: the forecasts that a run makes of its own RL stage, each kept at the step it was made at.

What they are made of stands in the record up to that step, so a resumed stage makes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from interlace.estimate import Estimate
from interlace.forecasting import SHARES, Foreseen, Foresight
from interlace.measurement import RAW, Measurement
from interlace.store import RunStore
from interlace.store.events import last_event, read_events
from interlace.store.forecasts import FORECAST
from interlace.store.run_store import EVENTS


@dataclass
class Foreseeing:
    """Writes what `foresight` says into the run folder, once for each of the `SHARES` of the stage.

    `already`: steps that an earlier process did, whose forecasts are kept. What raw weights will cost on the stage's
    own task is said, and once what that must be read with.
    """

    store: RunStore
    foresight: Foresight
    say: Callable[[str], None]
    already: int = -1
    _next: int = field(init=False)
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        kept = last_event(self.store.folder / EVENTS, FORECAST, self.foresight.stage, self.already)
        self._next = self._due(kept["step"]) if kept else 0

    def see(self, step: int) -> None:
        """After a look at `step`: forecast, if it is time."""
        due = self._due(step)
        if due == self._next or step >= self.foresight.max_steps:
            return
        self._next = due
        for found in self.foresight.at(step, self._measurements()):
            self._keep(found)

    def _due(self, step: int) -> int:
        """How many of the `SHARES` have come by `step`."""
        return sum(step >= share * self.foresight.max_steps for share in SHARES)

    def _keep(self, found: Foreseen) -> None:
        stage, own, made = self.foresight.stage, self.foresight.task, found.forecast
        place = {"step": made.made_at, "task": found.task, "weights": found.weights, "reward_task": own}
        self.store.event(FORECAST, stage=stage, **place, forecast=made.to_json())
        if (found.task, found.weights) == (own, RAW) and isinstance(made.sft_loss, Estimate):
            self.say(
                f"{stage}: forecast after step {made.made_at:,} for step {made.for_step:,}: SFT loss "
                f"{made.sft_loss}, reward {made.reward}"
            )
            for note in made.notes:
                if note not in self._said:
                    self._said.add(note)
                    self.say(f"{stage}: {note}")

    def _measurements(self) -> list[Measurement]:
        events = read_events(self.store.folder / EVENTS)
        return [
            Measurement.from_json(event)
            for event in events
            if event["kind"] == "measurement" and event["stage"] == self.foresight.stage
        ]
