"""Forecasts of stages that are over, made again by this version of interlace.

Each is a function of what the stage's record held at its step, so it knows no more than one made at the time; but the
version that makes it may have been built with these very runs in mind, which one made at the time cannot.
"""

from __future__ import annotations

from dataclasses import replace

from interlace.forecasting import SHARES, Foresight, KlTerm
from interlace.measurement import RAW, Point
from interlace.store import RunRecord, StageRecord
from interlace.store.forecasts import ForecastRecord
from interlace.theory.paths import PathOptions


def foreseen_again(record: RunRecord) -> RunRecord:
    """The record with this version's forecasts in place of those that were kept, at the steps of the same rule."""
    return replace(record, stages=tuple(_again(record, stage) for stage in record.stages))


def foresight_of(record: RunRecord, stage: StageRecord) -> Foresight | None:
    """What forecasts the stage; None for one that is not RL, or a control by its rewards."""
    if stage.kind != "rl" or stage.options.get("placebo") is not None or not stage.measurements:
        return None
    starts = {point.task: point for point in (item.point for item in stage.measurements) if _is_start(point)}
    averaging, trained = stage.options.get("averaged_weights"), record.manifest.get("data", record.heldout)
    return Foresight(
        stage=stage.stage,
        task=stage.task,
        held={task: held for task, held in record.heldout.items() if task in trained},
        start_of=lambda task: record.scores(starts[task]) if task in starts else None,
        max_steps=stage.steps_planned,
        options=PathOptions(group_size=stage.options.get("num_generations", 8)),
        seed=record.seed,
        decay=averaging["decay"] if averaging else None,
        exchange_rate=(stage.options.get("stop") or {}).get("exchange_rate"),
        kl_term=KlTerm.of(stage.options),
    )


def _is_start(point: Point) -> bool:
    return point.step == 0 and point.weights == RAW and point.position is None


def _again(record: RunRecord, stage: StageRecord) -> StageRecord:
    foresight = foresight_of(record, stage)
    if foresight is None:
        return stage
    looked = sorted({item.point.step for item in stage.measurements if item.point.step < stage.end_step})
    due = {share: [step for step in looked if step >= share * stage.steps_planned] for share in SHARES}
    steps = sorted({found[0] for found in due.values() if found})
    made = [(found, step) for step in steps for found in foresight.at(step, stage.measurements)]
    kept = (ForecastRecord(found.task, found.weights, stage.task, found.forecast) for found, _ in made)
    return replace(stage, forecasts=tuple(kept))
