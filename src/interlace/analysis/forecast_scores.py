"""The forecasts that runs kept of themselves, judged by what came: one by one, then together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from interlace.encoding import encode_float, jsonable
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.forecasting import SHARES, Looks
from interlace.forecasting.foresight import all_looks
from interlace.forecasting.running import LEAST_LOOKS
from interlace.forecasting.scoring import BASELINES, Later, Score, linear_in_reward, skill
from interlace.statistics import rate_interval
from interlace.store import RunRecord, StageRecord
from interlace.store.forecasts import ForecastRecord

OUTRIGHT, GIVEN_REWARD = "at the end", "at the reward that came"
"""What was forecast: SFT loss at the stage's end, or at the reward that the stage ended with."""
PILOT, PILOT_SHARE = "pilot run", 0.2
"""A baseline that costs more than a forecast: so much of the same stage with another seed, each unit of reward costing
what it cost there."""
LEAST_RUNS, RESAMPLES = 6, 2000
"""Runs from which figures over them have an interval, and how often runs are drawn again for it."""


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """One forecast beside its baselines, which knew the same looks. A baseline that could not speak says why."""

    run: str
    recipe: str
    stage: str
    task: str
    weights: str
    share: float
    kind: str
    score: Score
    baselines: Mapping[str, Score | Unresolved]

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        words = {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}
        judged = {name: _wire(each) for name, each in self.baselines.items()}
        return words | {"score": _wire(self.score), "baselines": judged}


@dataclass(frozen=True, slots=True)
class ForecastTally:
    """Forecasts of one kind made at about one share of their stages, judged together: of one `recipe`, or of all ("").

    `relative_error`: the median, as a share of the range of SFT loss in the stage; `bias`: mean of forecast minus truth
    over the range; `coverage`: of the 95 % intervals; `skill`: against each baseline, over the stages where it could
    speak. Stages of one run share their start, seed and prompts, so intervals take whole runs as the units: by drawing
    runs again, and of the coverage as if each run were one stage (Clopper-Pearson).
    """

    kind: str
    weights: str
    share: float
    recipe: str
    num_stages: int
    num_runs: int
    relative_error: Figure
    bias: Figure
    coverage: Figure
    skill: Mapping[str, Figure]

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class ForecastScores:
    """Every forecast judged, and all of a kind together; `silent`: the runs that have none, and why; `again`: they were
    made again by this version, not at their time."""

    forecasts: tuple[ScoredForecast, ...]
    tallies: tuple[ForecastTally, ...]
    silent: Mapping[str, str]
    again: bool = False

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"tallies": jsonable(self.tallies), "forecasts": jsonable(self.forecasts),
                "silent": dict(self.silent), "again": self.again}  # fmt: skip


def scored_forecasts(record: RunRecord, pilot: RunRecord | None = None) -> list[ScoredForecast]:
    """Every forecast of the run's finished stages; `pilot`: another seed of its recipe, whose first steps stand for a
    pilot run."""
    pilots = {} if pilot is None else {stage.name: stage for stage in pilot.stages}
    finished = [stage for stage in record.stages if stage.finished]
    return [each for stage in finished for each in _of_stage(record, stage, pilots.get(stage.name))]


def pilots_of(records: Sequence[RunRecord]) -> list[RunRecord | None]:
    """For each run the next one of its recipe with another seed, if there is one: every run is a pilot once."""
    found: list[RunRecord | None] = []
    for i, record in enumerate(records):
        others = [other for other in (*records[i + 1 :], *records[:i]) if other.recipe == record.recipe]
        found.append(next((other for other in others if other.seed != record.seed), None))
    return found


def silence(record: RunRecord) -> str:
    """Why a run has no forecast to judge, and what to do."""
    rl = [stage for stage in record.stages if stage.kind == "rl"]
    if not rl:
        return "it has no RL stage yet"
    if not any(stage.finished for stage in rl):
        return "its RL stage is not finished: run the same command again"
    if not any(stage.forecasts for stage in rl):
        return "it kept no forecast, as runs of older versions and controls: run the recipe again with --fresh"
    return "its stage ended before the step that was forecast, or no look followed the forecast"


def tallies(scored: Sequence[ScoredForecast]) -> list[ForecastTally]:
    """Together by kind, weights and share of the stage; then of each recipe, where there are several."""
    recipes = list(dict.fromkeys(each.recipe for each in scored))
    groups: dict[tuple[str, str, str, float], list[ScoredForecast]] = {}
    for each in scored:
        for recipe in ("", each.recipe) if len(recipes) > 1 else ("",):
            groups.setdefault((recipe, each.kind, each.weights, each.share), []).append(each)
    return [_tally(*key, group) for key, group in sorted(groups.items())]


def _of_stage(record: RunRecord, stage: StageRecord, pilot: StageRecord | None) -> Iterator[ScoredForecast]:
    for kept in stage.forecasts:
        looks = looks_of(stage, kept)
        if looks is None or looks.steps[-1] != kept.forecast.for_step or kept.forecast.made_at >= looks.steps[-1]:
            continue  # of a stage that was stopped, the step that was forecast never came
        later = Later(int(looks.steps[-1]), float(looks.reward[-1]), math.nan if looks.kl is None else looks.kl[-1])
        for kind, figure in ((OUTRIGHT, kept.forecast.sft_loss), (GIVEN_REWARD, kept.forecast.given(later.reward))):
            if isinstance(figure, Estimate):
                baselines = _baselines(looks.until(kept.forecast.made_at), later, _pilot_looks(pilot, kept))
                yield _scored(record, stage, kept, kind, figure, looks, baselines)


def _baselines(known: Looks, later: Later, pilot: Looks | None) -> dict[str, Figure]:
    """What each baseline says, which knew the looks of that time."""
    found = {name: baseline(known, later) for name, baseline in BASELINES.items()}
    none = Unresolved("no other seed of this recipe is among the runs")
    return found | {PILOT: none if pilot is None else linear_in_reward(pilot.moved_to(known), later)}


def _pilot_looks(pilot: StageRecord | None, kept: ForecastRecord) -> Looks | None:
    """The first steps of the same stage with another seed."""
    looks = None if pilot is None else looks_of(pilot, kept)
    if pilot is None or looks is None:
        return None
    return looks.until(max(PILOT_SHARE * pilot.steps_planned, looks.steps[: LEAST_LOOKS + 1][-1]))


def _scored(
    record: RunRecord,
    stage: StageRecord,
    kept: ForecastRecord,
    kind: str,
    figure: Estimate,
    looks: Looks,
    spoken: Mapping[str, Figure],
) -> ScoredForecast:
    truth, spread = float(looks.sft_loss[-1]), float(np.ptp(looks.sft_loss))
    return ScoredForecast(
        run=str(record.folder),
        recipe=record.recipe,
        stage=stage.name,
        task=kept.task,
        weights=kept.weights,
        share=_share(kept.forecast.made_at, stage.steps_planned),
        kind=kind,
        score=Score(figure, truth, spread),
        baselines={
            name: each if isinstance(each, Unresolved) else Score(each, truth, spread) for name, each in spoken.items()
        },
    )


def _share(step: int, planned: int) -> float:
    """The latest of the shares at which a stage is forecast that had come by `step`."""
    return max(share for share in SHARES if step >= share * planned)


def looks_of(stage: StageRecord, kept: ForecastRecord) -> Looks | None:
    """Every look of the stage at which the forecast's reward and SFT loss were both read; None without its start."""
    done = [item for item in stage.measurements if item.point.step <= stage.end_step]
    return dict(all_looks(done, kept.reward_task, (kept.task,), kept.weights)).get(kept.task)


def _tally(recipe: str, kind: str, weights: str, share: float, group: Sequence[ScoredForecast]) -> ForecastTally:
    runs, stages = len({each.run for each in group}), len(group)
    covered = sum(each.score.is_covered for each in group)
    moved = [each for each in group if each.score.spread > 0.0]
    alike = rate_interval(covered * runs // stages, runs, kind="clopper_pearson", unit="share of stages")
    return ForecastTally(
        kind=kind,
        weights=weights,
        share=share,
        recipe=recipe,
        num_stages=stages,
        num_runs=runs,
        relative_error=_over_runs(moved, _median_error, "share of the range"),
        bias=_over_runs(moved, _mean_bias, "share of the range"),
        coverage=replace(alike, value=covered / stages) if isinstance(alike, Estimate) else alike,
        skill={name: _over_runs(moved, partial(_skill, name=name), "1") for name in group[0].baselines},
    )


def _median_error(group: Sequence[ScoredForecast]) -> float:
    return float(np.median([each.score.relative_error for each in group]))


def _mean_bias(group: Sequence[ScoredForecast]) -> float:
    return float(np.mean([each.score.error / each.score.spread for each in group]))


def _skill(group: Sequence[ScoredForecast], name: str) -> float:
    """NaN where the baseline could nowhere speak."""
    pairs = [(each.score, each.baselines[name]) for each in group]
    both = [(ours, theirs) for ours, theirs in pairs if isinstance(theirs, Score)]
    return skill([ours for ours, _ in both], [theirs for _, theirs in both])


def _over_runs(
    group: Sequence[ScoredForecast], statistic: Callable[[Sequence[ScoredForecast]], float], unit: str
) -> Figure:
    """The statistic, with the percentiles that it has when whole runs are drawn again."""
    by_run: dict[str, list[ScoredForecast]] = {}
    for each in group:
        by_run.setdefault(each.run, []).append(each)
    value = statistic(group) if group else math.nan
    if math.isnan(value):
        return Unresolved("there is nothing to compare")
    if len(by_run) < LEAST_RUNS:
        return Unresolved(f"{value:.2f} over {len(by_run)} runs; an interval over runs needs {LEAST_RUNS}")
    runs, rng = list(by_run.values()), np.random.default_rng(0)
    drawn = rng.integers(len(runs), size=(RESAMPLES, len(runs)))
    found = [statistic([each for place in row for each in runs[place]]) for row in drawn.tolist()]
    low, high = np.nanquantile(found, [0.025, 0.975]).tolist()
    return Estimate(value, min(low, value), max(high, value), 0.95, len(runs), "percentiles over runs", unit)


def _wire(score: Score | Unresolved) -> dict[str, Any]:
    if isinstance(score, Unresolved):
        return score.to_json()
    return {
        "forecast": score.forecast.to_json(),
        "truth": encode_float(score.truth),
        "relative_error": encode_float(score.relative_error),
        "is_covered": score.is_covered,
        "interval_score": encode_float(score.interval_score),
    }
