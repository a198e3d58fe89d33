"""RunRecord: a whole run as plain data, read back from its folder whatever a kill left there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlace.estimate import Figure
from interlace.measurement import LINE, RAW, HeldOut, Measurement, Point, PromptScores
from interlace.store.events import decoded, read_events
from interlace.store.forecasts import FORECAST, ForecastRecord, forecasts_of
from interlace.store.forks import ForksRecord, forks_of
from interlace.store.run_store import EVENTS, SAMPLES, read_manifest, read_resolved
from interlace.store.scores import read_heldout, read_scores
from interlace.store.stopped import STOPPED, Stopped

SPENT = "spent"
"""The kind of the events that say what training took up to a look: tokens trained on, and what the trainer counts."""
BLEND = "blended"
"""The kind of the event that says with which place on the line from its start to its end a stage ended."""
DIVERGED = "diverged"
"""The kind of the event that says after which step a stage's weights were not finite."""
REWARD_FAILED = "reward_failed"
"""The rule of the flag that says so."""


@dataclass(frozen=True)
class StageRecord:
    """What one stage planned, did and measured. `stage` is its folder name; figures of steps that a resume took
    again are the later ones. `instruments`: name, sentence, source, cost and quantities of each that read something;
    `dead_reward`: what a reward that failed said, if one did; `overhead`: the latest record of what looks took;
    `spent`: by the step of a look, tokens
    trained on and what the trainer counted; `stopped`: what its stop rule said, if that ended the stage; `blend`: the
    place on the line from its start (0) to its end (1) whose weights it ended with, if it was told to; `diverged`: the
    step after which its weights were not finite, if so: it has no end, and is not gone on with."""

    stage: str
    name: str
    kind: str
    task: str
    steps_planned: int
    steps_done: int
    finished: bool
    options: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    reconciliation: dict[str, Any] | None = None
    samples: tuple[dict[str, Any], ...] = ()
    flags: tuple[str, ...] = ()
    training: tuple[dict[str, Any], ...] = ()
    forks: tuple[ForksRecord, ...] = ()
    forecasts: tuple[ForecastRecord, ...] = ()
    instruments: tuple[dict[str, Any], ...] = ()
    dead_reward: str | None = None
    overhead: dict[str, Any] = field(default_factory=dict)
    spent: dict[int, dict[str, float]] = field(default_factory=dict)
    stopped: Stopped | None = None
    blend: float | None = None
    diverged: int | None = None

    @property
    def looking_cpu_seconds(self) -> float | None:
        """CPU seconds of all looks, the latest one's by its probes; None where they were not metered."""
        if not self.overhead:
            return None
        latest = sum(self.overhead.get("probe_cpu_seconds", {}).values()) + self.overhead.get("fixed_cpu_seconds", 0.0)
        return float(self.overhead["between_cpu_seconds"] + self.overhead["ends_cpu_seconds"] + latest)

    @property
    def cpu_seconds(self) -> float | None:
        """CPU seconds of the stage, looks included; None where they were not metered."""
        return float(self.overhead["stage_cpu_seconds"]) if self.overhead else None

    @property
    def end_step(self) -> int:
        """The step whose weights the stage has ended with, or has reached."""
        return self.steps_done if self.stopped is None else self.stopped.end_step

    @property
    def is_rewound(self) -> bool:
        """Whether its stop rule took it back to an earlier look."""
        return self.stopped is not None and self.stopped.rewound_to is not None

    def ended_at(self, task: str) -> Point:
        """Where the weights that the stage ends with (or has reached) were measured on `task`."""
        if self.blend is None:
            return Point(self.stage, self.end_step, task, RAW)
        return Point(self.stage, self.end_step, task, LINE, self.blend)

    def figures_at(self, point: Point) -> dict[str, Figure]:
        """What was measured at a point, by quantity."""
        return {item.quantity: item.figure for item in self.measurements if item.point == point}


@dataclass(frozen=True)
class RunRecord:
    """Everything a run left, read once."""

    folder: Path
    recipe: str
    seed: int
    manifest: dict[str, Any]
    resolved: dict[str, Any]
    stages: tuple[StageRecord, ...]
    heldout: dict[str, HeldOut]

    def scores(self, point: Point) -> PromptScores:
        """What each prompt contributed at `point`. Raises KeyError if nothing was measured there."""
        return read_scores(self.folder / SAMPLES, point)

    def points(self, stage: str, task: str, weights: str) -> list[Point]:
        """Where `task` was measured in `stage`, in order of step (on the straight line: of position). What a rewound
        stage measured after the step that it went back to is no part of what it did."""
        found = {
            item.point
            for record in self.stages
            if record.stage == stage
            for item in record.measurements
            if item.point.task == task and item.point.weights == weights
            if record.stopped is None or item.point.step <= record.stopped.end_step
        }
        return sorted(found, key=lambda point: (point.position or 0.0) if weights == LINE else point.step)


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Raises RunFolderError if it is none, or damaged beyond a torn last line."""
    manifest = read_manifest(folder)
    events = read_events(folder / EVENTS)
    heldout = [read_heldout(path) for path in sorted((folder / SAMPLES).glob("heldout-*.parquet"))]
    return RunRecord(
        folder=folder,
        recipe=manifest["recipe"],
        seed=int(manifest["seed"]),
        manifest=manifest,
        resolved=read_resolved(folder),
        stages=tuple(_stage(stage, list(_of_stage(events, stage))) for stage in _stage_names(events)),
        heldout={item.task: item for item in heldout},
    )


def _stage_names(events: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(event["stage"] for event in events if event["kind"] == "stage_started"))


def _of_stage(events: list[dict[str, Any]], stage: str) -> Iterator[dict[str, Any]]:
    """The stage's events, without those that a later resume went back behind."""
    last_start = max(
        i for i, event in enumerate(events) if event["kind"] == "stage_started" and event["stage"] == stage
    )
    resumed = [
        (i, event["resumed_from"])
        for i, event in enumerate(events)
        if event["kind"] == "stage_started" and event["stage"] == stage
    ]
    for i, event in enumerate(events):
        if event.get("stage") != stage or (event["kind"] == "stage_started" and i != last_start):
            continue
        if not any(i < start and event.get("step", -1) > step for start, step in resumed):
            yield event


def _stage(stage: str, events: list[dict[str, Any]]) -> StageRecord:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["kind"], []).append(event)
    started = by_kind["stage_started"][-1]
    finished = by_kind.get("stage_finished", [])
    found = (decoded(event, Measurement.from_json) for event in by_kind.get("measurement", []))
    measurements = {(item.point, item.quantity): item for item in found}
    reached = max((item.point.step for item in measurements.values()), default=0)
    return StageRecord(
        stage=stage,
        **decoded(started, _begun),
        steps_done=decoded(finished[-1], lambda event: int(event["steps_done"])) if finished else reached,
        finished=bool(finished),
        ledger=finished[-1]["ledger"] if finished else {},
        measurements=tuple(sorted(measurements.values(), key=lambda item: item.point.step)),
        reconciliation=_bare(by_kind["reconciliation"][-1]) if "reconciliation" in by_kind else None,
        samples=tuple(_latest_samples(by_kind.get("sample", []))),
        flags=tuple(dict.fromkeys(event["text"] for event in by_kind.get("flag", []))),
        training=tuple(_bare(event) for event in by_kind.get("training", [])),
        forks=forks_of(by_kind.get("forks", [])),
        forecasts=forecasts_of(by_kind.get(FORECAST, [])),
        instruments=_instruments(by_kind.get("instrument", [])),
        stopped=decoded(by_kind[STOPPED][-1], Stopped.from_json) if STOPPED in by_kind else None,
        blend=decoded(by_kind[BLEND][-1], lambda event: float(event["position"])) if BLEND in by_kind else None,
        diverged=decoded(by_kind[DIVERGED][-1], lambda event: int(event["step"])) if DIVERGED in by_kind else None,
        dead_reward=next((e["text"] for e in by_kind.get("flag", []) if e.get("rule") == REWARD_FAILED), None),
        overhead=_bare(by_kind["overhead"][-1]) if "overhead" in by_kind else {},
        spent={int(event["step"]): _figures(event) for event in by_kind.get(SPENT, [])},
    )


def _begun(event: dict[str, Any]) -> dict[str, Any]:
    """What a stage's record has of its start."""
    return {
        "name": event["name"],
        "kind": event["stage_kind"],
        "task": event["task"],
        "steps_planned": int(event["steps_planned"]),
        "options": event["options"],
    }


def _instruments(events: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Each instrument once, with every quantity that it read in the stage."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        known = found.setdefault(event["name"], {**_bare(event), "quantities": []})
        known["quantities"] += [name for name in event["quantities"] if name not in known["quantities"]]
    return tuple(found.values())


def _latest_samples(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    latest = {(event["step"], event["task"], event["index"]): _bare(event) for event in events}
    return [latest[key] for key in sorted(latest)]


def _figures(event: dict[str, Any]) -> dict[str, float]:
    return {
        key: float(value) for key, value in _bare(event).items() if key != "step" and isinstance(value, int | float)
    }


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("kind", "stage")}
