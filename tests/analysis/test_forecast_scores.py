"""Kept forecasts judged: against what came, at the right step, beside baselines that knew no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.forecast_scores import GIVEN_REWARD, OUTRIGHT, pilots_of, scored_forecasts, tallies
from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import FanPoint, RunningForecast
from interlace.forecasting.scoring import Score, skill
from interlace.measurement import RAW
from interlace.statistics import rate_interval
from interlace.store.forecasts import ForecastRecord
from tests.analysis.worlds import TASK, MemoryRecord, Stage, binary_problem, make_record, softmax_gradient_run

STEPS = range(0, 61, 5)


def figure(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 4000, "by hand", "nats/response")


def forecast(made_at: int, end: float | None, fan: tuple[tuple[float, float], ...], half: float) -> ForecastRecord:
    mute = Unresolved("too early")
    points = tuple(FanPoint(reward, figure(loss, half)) for reward, loss in fan)
    loss = mute if end is None else figure(end, half)
    return ForecastRecord(TASK, RAW, TASK, RunningForecast(made_at, 60, mute, loss, mute, None, points))


@pytest.fixture(scope="module")
def record() -> MemoryRecord:
    problem = binary_problem(np.random.default_rng(0), 40)
    path = softmax_gradient_run(problem, 0.2, 60)
    return make_record(problem, Stage({step: path[step] for step in STEPS}))


def value(record: MemoryRecord, step: int, quantity: str) -> float:
    (stage,) = record.stages
    found = next(item for item in stage.measurements if item.point.step == step and item.quantity == quantity)
    assert isinstance(found.figure, Estimate)
    return found.figure.value


def keeping(record: MemoryRecord, *forecasts: ForecastRecord) -> MemoryRecord:
    return replace(record, stages=(replace(record.stages[0], forecasts=forecasts),))


def test_each_forecast_meets_what_came(record: MemoryRecord) -> None:
    truth, reward = value(record, 60, "sft_loss"), value(record, 60, "reward")
    fan = ((reward - 0.1, truth), (reward + 0.1, truth + 0.2))
    kept = keeping(record, forecast(0, None, fan, 0.05), forecast(15, truth + 0.01, fan, 0.05))
    before, outright, given = scored_forecasts(kept)
    assert [(each.kind, each.share) for each in (before, outright, given)] == [
        (GIVEN_REWARD, 0.0), (OUTRIGHT, 0.2), (GIVEN_REWARD, 0.2)
    ]  # fmt: skip
    assert outright.score.error == pytest.approx(0.01) and outright.score.is_covered
    assert before.score.error == pytest.approx(0.1), "half way between the fan's rewards"
    assert not before.score.is_covered
    losses = [value(record, step, "sft_loss") for step in STEPS]
    assert outright.score.spread == pytest.approx(max(losses) - min(losses))


def test_baselines_know_the_looks_of_that_time(record: MemoryRecord) -> None:
    fan = ((0.0, 1.0), (1.0, 1.0))
    early, late = scored_forecasts(keeping(record, forecast(15, None, fan, 9.0), forecast(30, None, fan, 9.0)))
    for each, step in ((early, 15), (late, 30)):
        persisted = each.baselines["persistence"]
        assert isinstance(persisted, Score) and persisted.forecast.value == value(record, step, "sft_loss")
        assert persisted.truth == value(record, 60, "sft_loss")
    assert isinstance(early.baselines["quadratic in KL"], Score)


def test_before_the_first_step_no_baseline_speaks(record: MemoryRecord) -> None:
    (only,) = scored_forecasts(keeping(record, forecast(0, None, ((0.0, 1.0), (1.0, 1.0)), 9.0)))
    assert all(isinstance(each, Unresolved) for each in only.baselines.values())


def test_another_seed_is_a_pilot_run(record: MemoryRecord) -> None:
    """A line in reward through the first fifth of its looks, carried to this run's own start."""
    other = binary_problem(np.random.default_rng(5), 40)
    path = softmax_gradient_run(other, 0.2, 60)
    pilot = replace(make_record(other, Stage({step: path[step] for step in STEPS})), seed=1)
    assert pilots_of([record, pilot]) == [pilot, record] and pilots_of([record]) == [None]
    (only,) = scored_forecasts(keeping(record, forecast(0, None, ((0.0, 1.0), (1.0, 1.0)), 9.0)), pilot)
    reward, loss = (np.array([value(pilot, step, name) for step in (0, 5, 10)]) for name in ("reward", "sft_loss"))
    gained, changed = reward[1:] - reward[0], loss[1:] - loss[0]
    price = gained @ changed / (gained @ gained)
    gain = value(record, 60, "reward") - value(record, 0, "reward")
    found = only.baselines["pilot run"]
    assert isinstance(found, Score)
    assert found.forecast.value == pytest.approx(value(record, 0, "sft_loss") + price * gain)


def test_a_stage_that_was_stopped_is_not_judged_for_a_step_that_never_came(record: MemoryRecord) -> None:
    stage = record.stages[0]
    early = tuple(item for item in stage.measurements if item.point.step <= 30)
    stopped = replace(stage, measurements=early, steps_done=30,
                      forecasts=(forecast(15, 1.0, ((0.0, 1.0), (1.0, 1.0)), 9.0),))  # fmt: skip
    assert scored_forecasts(replace(record, stages=(stopped,))) == []


def test_a_tally_takes_runs_as_its_units(record: MemoryRecord) -> None:
    """Eight runs of two stages each: sixteen stages, eight units."""
    truth = value(record, 60, "sft_loss")
    nowhere = ((0.0, 0.0), (1e-9, 0.0))
    many = [
        replace(each, run=f"seed-{i}", recipe="sums" if i < 4 else "styles")
        for i in range(8)
        for _ in range(2)
        for each in scored_forecasts(keeping(record, forecast(15, truth + 0.01 * i, nowhere, 0.035)))
    ]
    whole, *parts = tallies(many)
    spread = many[0].score.spread
    assert (whole.recipe, whole.kind, whole.share, whole.num_stages, whole.num_runs) == ("", OUTRIGHT, 0.2, 16, 8)
    assert isinstance(whole.relative_error, Estimate) and isinstance(whole.coverage, Estimate)
    assert whole.relative_error.value == pytest.approx(0.035 / spread) and whole.relative_error.n == 8
    assert 0.0 < whole.relative_error.lower < whole.relative_error.value < whole.relative_error.upper < 0.07 / spread
    assert whole.coverage.value == 0.5
    alike = rate_interval(4, 8, kind="clopper_pearson")
    assert isinstance(alike, Estimate)
    assert (whole.coverage.lower, whole.coverage.upper) == (alike.lower, alike.upper), "as of eight stages, not sixteen"
    assert isinstance(whole.bias, Estimate) and whole.bias.value == pytest.approx(0.035 / spread)
    assert [(part.recipe, part.num_runs) for part in parts] == [("styles", 4), ("sums", 4)]
    assert isinstance(parts[0].relative_error, Unresolved) and "needs 6" in parts[0].relative_error.reason


def test_skill_weighs_stages_by_their_own_range(record: MemoryRecord) -> None:
    """One stage ten times as large as another, scored alike: it counts no more."""
    truth = value(record, 60, "sft_loss")
    (only,) = scored_forecasts(keeping(record, forecast(30, truth, ((0.0, 0.0), (1e-9, 0.0)), 0.1)))
    ours, theirs = only.score, only.baselines["persistence"]
    assert isinstance(theirs, Score)
    tenfold = [Score(figure(10 * each.forecast.value, 5 * (each.forecast.upper - each.forecast.lower)),
                     10 * each.truth, 10 * each.spread) for each in (ours, theirs)]  # fmt: skip
    assert skill([ours, tenfold[0]], [theirs, tenfold[1]]) == pytest.approx(skill([ours], [theirs]))


def test_a_stage_that_goes_on_is_not_judged(record: MemoryRecord) -> None:
    going = replace(record.stages[0], finished=False, forecasts=(forecast(0, None, ((0.0, 1.0), (1.0, 1.0)), 9.0),))
    assert scored_forecasts(replace(record, stages=(going,))) == []
