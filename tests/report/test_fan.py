"""The fan: the forecasts drawn up to what was reached, the run on top, and how it came out in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlace.analysis.summary import RunSummary
from interlace.estimate import Estimate, Unresolved
from interlace.forecasting import FanPoint, RunningForecast
from interlace.measurement import RAW, Measurement, Point
from interlace.report.plots import fan_charts
from interlace.report.views import SECTIONS
from interlace.store import RunRecord
from interlace.store.forecasts import ForecastRecord
from tests.report.examples import figure, record_of

LOOKS = {0: (0.70, 0.40), 50: (0.80, 0.55), 100: (0.90, 0.80)}


def kept(made_at: int, end: float) -> ForecastRecord:
    mute = Unresolved("too early")
    fan = tuple(FanPoint(0.7 + 0.05 * i, figure(0.4 + 0.1 * i, 0.05)) for i in range(7))
    loss = figure(end, 0.05) if made_at else mute
    return ForecastRecord("sums", RAW, "sums", RunningForecast(made_at, 100, mute, loss, mute, None, fan))


@pytest.fixture
def foreseen(summary: RunSummary) -> RunRecord:
    record = record_of(summary)
    number = next(i for i, stage in enumerate(record.stages) if stage.kind == "rl")
    stage = record.stages[number]
    points = {step: Point(stage.stage, step, "sums", RAW) for step in LOOKS}
    measured = [
        Measurement(points[step], name, Estimate(value, value, value, 0.95, 9, "exact", "unit"))
        for step, pair in LOOKS.items()
        for name, value in zip(("reward", "sft_loss"), pair, strict=True)
    ]
    stage = replace(stage, steps_planned=100, steps_done=100, measurements=tuple(measured),
                    forecasts=(kept(0, 0.0), kept(50, 0.83)))  # fmt: skip
    return replace(record, stages=(*record.stages[:number], stage, *record.stages[number + 1 :]))


def test_what_came_stands_on_the_forecasts(foreseen: RunRecord) -> None:
    (chart,) = fan_charts(foreseen)
    bands = [trace for trace in chart.data if trace.get("fill") == "toself"]
    came = chart.data[-1]
    assert len(bands) == 2 and came["x"] == [0.7, 0.8, 0.9] and came["y"] == [0.4, 0.55, 0.8]
    assert max(x for x in bands[0]["x"] if x is not None) == pytest.approx(0.95), "one point beyond what was reached"
    assert [key.text for key in chart.keys] == [
        "forecast before the stage",
        "forecast after step 50",
        "what came, look by look",
    ]
    (note,) = chart.notes
    assert note.startswith("At 50% of the stage it forecast 0.83 [0.78, 0.88] nats/response at the end")
    assert note.endswith("0.80 came, which its interval held.")


def test_without_forecasts_there_is_no_section(summary: RunSummary) -> None:
    assert fan_charts(record_of(summary)) == []
    assert "fans" in SECTIONS
