"""From a run's record to its summary: each stage by itself, then what their order shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace.analysis.advice import run_advice, stage_advice
from interlace.analysis.changes import objective_changes
from interlace.analysis.controls import control, started_from
from interlace.analysis.curves import curves
from interlace.analysis.exclusion import exclusion
from interlace.analysis.forks import fork_summaries
from interlace.analysis.landmarks import landmarks
from interlace.analysis.lenient import stage_excess
from interlace.analysis.passage import Passage, expert_reward
from interlace.analysis.path_constants import path_constants
from interlace.analysis.predicted import parity_curve
from interlace.analysis.self_checks import stage_self_checks
from interlace.analysis.sentences import stage_remark, stage_sentence
from interlace.analysis.splits import split
from interlace.analysis.summary import Curve, ObjectiveChange, RunSummary, Stages, StageSummary
from interlace.analysis.trajectory import read_blend, read_trajectory
from interlace.analysis.verdicts import stage_verdicts
from interlace.measurement import AVERAGED, BLENDED, LINE, RAW
from interlace.statistics import prompt_weights
from interlace.store import RunRecord, StageRecord

RESAMPLES = 1000
"""Bootstrap resamples of the prompts: 8 bytes x resamples x prompts of memory a task."""


def summarise(record: RunRecord, rng: np.random.Generator | None = None) -> RunSummary:
    """What a run did, stage by stage, and what to do next.

    Pure: the same record gives the same summary. `rng` draws the bootstrap's resamples (default: from seed 0).
    Cost: every measured point's scores are read once.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    done = [_stage(record, stage, rng) for stage in record.stages]
    stages = [stage for stage, _ in done]
    advice = [sentence for _, sentences in done for sentence in sentences]
    return RunSummary(
        run=str(record.folder),
        recipe=record.recipe,
        seed=record.seed,
        stages=Stages(tuple(stages)),
        advice=run_advice(stages, advice),
        excluded=exclusion(record),
        heldout={task: prints["heldout"] for task, prints in record.manifest.get("data", {}).items()},
        partial=frozenset(stage.name for stage in record.stages if stage.options.get("seeds") is not None),
    )


def _stage(record: RunRecord, stage: StageRecord, rng: np.random.Generator) -> tuple[StageSummary, tuple[str, ...]]:
    """The stage's summary, and what its own figures advise."""
    passages = _passages(record, stage, rng)
    blend = _blend(record, stage, passages[RAW])
    raw = passages[RAW].trajectory
    summary = StageSummary(
        name=stage.name,
        kind=stage.kind,
        task=stage.task,
        steps_planned=stage.steps_planned,
        steps_done=stage.steps_done,
        objectives=_objectives(record, stage, passages | blend),
        landmarks={weights: landmarks(passage) for weights, passage in passages.items()},
        expert_reward=expert_reward(raw),
        split={weights: split(passage) for weights, passage in (passages | blend).items()},
        verdicts=tuple(verdict for passage in passages.values() for verdict in stage_verdicts(passage)),
        self_checks=tuple(check for passage in passages.values() for check in stage_self_checks(passage)),
        flags=stage.flags,
        ledger=stage.ledger,
        sentence="",
        curves=(*curves(record, stage), *_predicted(passages[RAW])),
        placebo=passages[RAW].placebo,
        control=control(record, stage),
        forks=fork_summaries(record, stage, raw),
        stopped=stage.stopped,
        blend=stage.blend,
        diverged=stage.diverged,
        path_constants=tuple(path_constants(stage)),
        format_excess=stage_excess(raw),
    )
    source = started_from(record, stage)
    summary = replace(summary, started_from=source.name if source else None)
    line = read_trajectory(record, stage.stage, stage.task, LINE)
    worded = replace(summary, sentence=stage_sentence(summary), remark=stage_remark(summary))
    return worded, stage_advice(worded, passages, line)


def _predicted(passage: Passage) -> tuple[Curve, ...]:
    curve = parity_curve(passage)
    return () if curve is None else (curve,)


def _passages(record: RunRecord, stage: StageRecord, rng: np.random.Generator) -> dict[str, Passage]:
    """The stage under its own weights, and under their average if it kept one."""
    held = record.heldout.get(stage.task)
    resample = prompt_weights(rng, held.num_prompts if held else 0, RESAMPLES)
    kept = [RAW] + [AVERAGED] * bool(record.points(stage.stage, stage.task, AVERAGED))
    return {
        weights: Passage(stage, read_trajectory(record, stage.stage, stage.task, weights), resample) for weights in kept
    }


def _blend(record: RunRecord, stage: StageRecord, raw: Passage) -> dict[str, Passage]:
    """The stage from its start to the blend that it ended with. Laws speak of its own way, and are not asked of it."""
    found = read_blend(record, stage, stage.task)
    return {} if found is None else {BLENDED: replace(raw, trajectory=found)}


def _objectives(record: RunRecord, stage: StageRecord, passages: dict[str, Passage]) -> tuple[ObjectiveChange, ...]:
    """The objectives of the task trained on, then those of every other task that was measured."""
    trajectories = [passage.trajectory for passage in passages.values()]
    for task in record.heldout:
        if task != stage.task:
            others = [read_trajectory(record, stage.stage, task, weights) for weights in (RAW, AVERAGED)]
            blend = read_blend(record, stage, task)
            trajectories += [each for each in (*others, blend) if each is not None and each.snapshots]
    return tuple(change for trajectory in trajectories for change in objective_changes(trajectory))
