"""How an arm was trained, by its runs' records: how much it imitated, and what it was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from interlace.analysis.shootout.arms import Arm, method_of
from interlace.analysis.shootout.seen import Seen
from interlace.store import RunRecord

EXCHANGE_RATE = "exchange_rate"


def imitation_of(records: Sequence[RunRecord], arm: Arm, each: Sequence[Seen]) -> float | None:
    """Mean weight of imitation up to where it is seen: 1 in a stage of SFT, 0 in one of RL, counted in a hybrid one;
    None where it was not counted."""
    found = [_imitated_steps(record, arm, seen) for record, seen in zip(records, each, strict=True)]
    known = [
        steps / seen.at.step for steps, seen in zip(found, each, strict=True) if steps is not None and seen.at.step
    ]
    return float(np.mean(known)) if len(known) == len(each) else None


def _imitated_steps(record: RunRecord, arm: Arm, seen: Seen) -> float | None:
    total, before = 0.0, 0
    for stage in arm.of(record):
        step = min(stage.end_step, seen.at.step - before)
        counted = {"sft": float(step), "rl": 0.0}.get(stage.kind, stage.spent.get(step, {}).get("imitation_share"))
        if counted is None:
            return None
        total, before = total + counted, before + step
        if stage.stage == seen.at.stage:
            break
    return total


def exchange_rates_of(record: RunRecord, arm: Arm) -> tuple[float, ...]:
    """Each exchange rate that a method, stop rule or blend of the arm was told, reward units a nat."""
    return tuple(dict.fromkeys(float(options[EXCHANGE_RATE]) for options in _told(record, arm)
                               if options.get(EXCHANGE_RATE) is not None))  # fmt: skip


def is_stopped_or_blended(record: RunRecord, arm: Arm) -> bool:
    """Whether held-out looks stop a stage of it, or choose the place on the line that it ends with."""
    return any(stage.options.get("stop") or _chosen(stage.options.get("blend")) for stage in arm.of(record))


def ends_with_blend(record: RunRecord, arm: Arm) -> bool:
    """Whether its last stage goes back on the line to its start, once training is done."""
    return bool(arm.of(record)[-1].options.get("blend"))


def _chosen(blend: Mapping[str, Any] | None) -> bool:
    """Whether a blend is chosen by measurement; `position` is given."""
    return bool(blend) and (blend or {}).get("position") is None


def _told(record: RunRecord, arm: Arm) -> Iterator[Mapping[str, Any]]:
    for stage in arm.of(record):
        yield method_of(stage)
        yield from (stage.options[name] for name in ("stop", "blend") if isinstance(stage.options.get(name), Mapping))
