"""The curves that a report draws: the measured figures of a stage, in order."""

from __future__ import annotations

from interlace.analysis.summary import Curve
from interlace.estimate import Figure, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW, Point
from interlace.store import RunRecord, StageRecord

QUANTITIES = ("reward", "sft_loss", "kl_policy_start_nats_per_response")
"""What is drawn, by the name it is measured under."""


def curves(record: RunRecord, stage: StageRecord) -> tuple[Curve, ...]:
    """One curve for each task and kind of weights that was measured."""
    tasks = dict.fromkeys(item.point.task for item in stage.measurements)
    found = (_curve(record, stage, task, weights) for task in tasks for weights in (RAW, AVERAGED, LINE))
    return tuple(curve for curve in found if len(curve))


def _curve(record: RunRecord, stage: StageRecord, task: str, weights: str) -> Curve:
    figures = {(item.point, item.quantity): item.figure for item in stage.measurements}
    points = record.points(stage.stage, task, weights)

    def along(quantity: str) -> tuple[Figure, ...]:
        return tuple(figures.get((point, quantity), _missing(point, quantity)) for point in points)

    reward, sft_loss, kl = map(along, QUANTITIES)
    return Curve(
        task=task,
        weights=weights,
        steps=tuple(point.step for point in points),
        positions=tuple(point.position or 0.0 for point in points) if weights == LINE else (),
        reward=reward,
        sft_loss=sft_loss,
        kl=kl,
    )


def _missing(point: Point, quantity: str) -> Unresolved:
    return Unresolved(f"{quantity} was not measured at step {point.step}")
