"""How a run was made: recipe, versions, data, compute, and whether the trainer's own loss agrees with ours."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from interlace.encoding import dumps, jsonable
from interlace.report.formatting import NONE, Cell, compact
from interlace.report.tables import Table, words
from interlace.store import RunRecord, StageRecord
from interlace.wording import number

LEDGER = {
    "optimizer_steps": "Optimizer steps",
    "tokens_sampled": "Tokens sampled",
    "tokens_prefilled": "Tokens of their prompts",
    "tokens_forward": "Tokens forward",
    "tokens_backward": "Tokens backward",
    "flops": "FLOPs",
    "expert_examples": "Expert examples",
    "train_seconds": "Training, s",
    "measure_seconds": "Measuring, s",
}
"""Ledger field: its column."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Our SFT loss at a stage's start beside the trainer's own evaluation loss."""

    stage: str
    agrees: bool
    sentence: str
    details: str


def recipe_text(record: RunRecord) -> str:
    """The resolved recipe as YAML."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # its class default is None
    yaml.width = 72
    stream = io.StringIO()
    yaml.dump(jsonable(record.resolved), stream)
    return stream.getvalue()


def manifest_rows(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """The manifest, one line an entry, nested keys joined by dots."""
    return tuple(_flat(record.manifest))


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _entry(item)))
    return rows


def _entry(value: object) -> str:
    if value is None:
        return NONE
    return value if isinstance(value, str) else dumps(value)


def ledger_table(record: RunRecord) -> Table:
    """Compute spent, stage by stage; a dash where a stage did not end."""
    rows = [
        (*words(stage.name), *(_spent(stage.ledger.get(field)) for field in LEDGER), _looking(stage))
        for stage in record.stages
    ]
    return Table("Compute spent", ("Stage", *LEDGER.values(), "Looking, CPU s"), tuple(rows), 1)


def looking_sentence(record: RunRecord) -> str:
    """What all looks took of the processors, beside what the stages took; empty where it was not metered."""
    stages = [stage for stage in record.stages if stage.overhead]
    spent = sum(stage.cpu_seconds or 0.0 for stage in stages)
    looked = sum(stage.looking_cpu_seconds or 0.0 for stage in stages)
    if not spent:
        return ""
    share = f"{looked / spent:.0%} of the {number(spent, 0)} s of all stages"
    return f"Looking took about {number(looked, 0)} s of CPU, {share}."


def _looking(stage: StageRecord) -> Cell:
    """CPU seconds of looks, and under them their share of the stage's."""
    looked, spent = stage.looking_cpu_seconds, stage.cpu_seconds
    if looked is None or not spent:
        return Cell(NONE, tone="absent", title="not metered")
    return Cell(
        number(looked, 1), f"{looked / spent:.0%} of {number(spent, 1)}", title="of the stage\u2019s CPU seconds"
    )


def _spent(value: object) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(compact(value))
    return Cell(NONE if value is None else str(value), tone="absent", title="the stage did not end")


def reconciliations(record: RunRecord) -> tuple[Reconciliation, ...]:
    """The stages in which both losses were had."""
    return tuple(_reconciliation(stage, stage.reconciliation) for stage in record.stages if stage.reconciliation)


def _reconciliation(stage: StageRecord, found: Mapping[str, Any]) -> Reconciliation:
    agrees = bool(found.get("agrees"))
    verb = "agrees with" if agrees else "DISAGREES with"
    sentence = (
        f"{stage.name}: our SFT loss at step 0 ({_plain(found.get('ours'))}) {verb} the trainer\u2019s "
        f"({_plain(found.get('trainers'))}); difference {_small(found.get('difference'))}, "
        f"tolerance {_small(found.get('tolerance'))} nats/token."
    )
    details = "; ".join(f"{name}: {found[name]}" for name in ("template", "eos", "mask", "dtype") if name in found)
    return Reconciliation(stage.name, agrees, sentence, details)


def _plain(value: object) -> str:
    return number(value, 4) if isinstance(value, int | float) else NONE if value is None else str(value)


def _small(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, int | float) else _plain(value)


def flags(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Every remark with its stage; a stage that did not end is one."""
    unfinished = [
        (stage.name, f"did not finish: {stage.steps_done:,} of {stage.steps_planned:,} steps")
        for stage in record.stages
        if not stage.finished
    ]
    return (*unfinished, *((stage.name, flag) for stage in record.stages for flag in stage.flags))
